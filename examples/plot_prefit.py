"""
Encoders that you have trained already
======================================

Bring the f that saw your rows and the g that did not, in pairs, as any callables from a batch of
views to embeddings. Here eight pairs of small networks come from a plain PyTorch loop on halves of
500 digits; `memorization_scores` reads them and trains nothing. Then one pair alone, as a single
training of f and g would have it: noisier, and nothing in it tells how much.

Cost: about 15 s on 2 cores. Prints the summary for eight pairs, and how well one pair's scores agree
with those of the other seven.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from sslmemo import memorization_scores


def jitter(x):
    """The augmentation of this loop: a quarter of the pixels go black, all get noise."""
    return x * (torch.rand_like(x) > 0.25) + 0.1 * torch.randn_like(x)


def train(X, seed, steps=300):
    """SimCLR in a dozen lines."""
    torch.manual_seed(seed)
    encoder = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 32)
    )
    optimizer = torch.optim.AdamW(encoder.parameters(), 2e-3)
    for _ in range(steps):
        x = X[torch.randperm(len(X))[:64]]
        z = F.normalize(encoder(torch.cat([jitter(x), jitter(x)])), dim=1)
        similarity = (z @ z.T / 0.2).fill_diagonal_(-torch.inf)
        loss = F.cross_entropy(similarity, torch.arange(128).roll(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


def main():
    X, _ = load_digits(return_X_y=True)
    X = torch.tensor(X[:500] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    ours, others = X[:250], X[250:]
    inside = [train(ours, seed) for seed in range(8)]  # f: trained on our rows
    outside = [train(others, seed) for seed in range(8)]  # g: trained without them

    options = {"augmentation": jitter, "random_state": 0}
    result = memorization_scores(inside, outside, ours, **options)
    print(result.summary())

    one = memorization_scores(inside[0], outside[0], ours, **options)
    seven = memorization_scores(inside[1:], outside[1:], ours, **options)
    r = np.corrcoef(one.score, seven.score)[0, 1]
    print(f"one pair against the other seven: correlation {r:.2f}; alone it has no standard error")


if __name__ == "__main__":
    main()
