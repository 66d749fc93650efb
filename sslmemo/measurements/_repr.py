"""How a measurement shows itself."""

from __future__ import annotations

import inspect
import numbers

__all__ = ["ShortRepr"]


class ShortRepr:
    """Shows the class and the plain parameters that are not at their defaults; others are an ellipsis."""

    def __repr__(self):
        said, more = [], False
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, inspect.Parameter.empty)  # some are kept in another form
            if not _plain(value):
                more = True
            elif not (_plain(parameter.default) and value == parameter.default):
                said.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(said + ['...'] * more)})"


def _plain(value):
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, (numbers.Number, str))
