"""scikit-learn's conventions for an estimator that does not import it: that takes longer than fitting small windows."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.estimator.output import check_output, find_output, shape_map
from driftmap.engine.estimator.repr_html import describe_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array


class Estimator:
    """What `sklearn.base.BaseEstimator` gives: parameters by name, text, HTML, tags, requests of metadata.

    Parameters are read from the signature of `__init__` and kept under their names. What scikit-learn alone knows comes
    from its own estimator of the same name and parameters, made when it is asked for.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - as scikit-learn has it
        """Return the parameters by name.

        Parameters
        ----------
        deep
            Without effect: no parameter is an estimator.
        """
        return {name: getattr(self, name) for name in self._list_parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        InvalidInputError
            When there is no such parameter; none is set then.
        """
        known = self._list_parameters()
        for name in params:
            if name not in known:
                msg = f"{type(self).__name__} has no parameter {name!r}; its parameters are {', '.join(known)}."
                raise InvalidInputError(msg)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def set_fit_request(self, **requests: Any) -> Self:
        """Say which of `relations`, `ids`, `knn` and `reference` a pipeline or search is to hand to `fit`.

        As in every estimator of scikit-learn: True, False, None, or the name under which the caller gives it; needs
        `sklearn.set_config(enable_metadata_routing=True)`.
        """
        return self._request("set_fit_request", requests)

    def set_transform_request(self, **requests: Any) -> Self:
        """Say whether a pipeline is to hand `window` to `transform`, as `set_fit_request`."""
        return self._request("set_transform_request", requests)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Say what `transform` and `fit_transform` return: arrays, or frames of pandas or polars.

        Windows have rows of their own, so a list of maps comes back as a list of frames, one per window, never as one
        long frame. Columns have the names of `get_feature_names_out`; of a window that is a frame of pandas the index
        is kept. `embeddings_` are arrays always. Without a call, `sklearn.set_config(transform_output=...)` holds.

        Parameters
        ----------
        transform
            "default" (arrays), "pandas" or "polars"; None changes nothing.

        Raises
        ------
        InvalidInputError
            When it is another, or its library is not installed.
        """
        if transform is not None:
            vars(self)["_sklearn_output_config"] = {"transform": check_output(transform)}  # `sklearn.clone` copies it
        return self

    def get_metadata_routing(self) -> Any:
        """Return scikit-learn's `MetadataRequest` of this estimator."""
        return self._make_twin().get_metadata_routing()

    @property
    def n_features_in_(self) -> int:
        """Number of columns, where all windows have as many; else there is no such attribute."""
        self._check_is_fitted()
        found = {rows.shape[1] for rows in vars(self)["_model"].rows}
        if len(found) > 1:
            counts = ", ".join(str(n) for n in sorted(found))
            msg = f"windows differ in their number of columns ({counts}), so there is no n_features_in_."
            raise AttributeError(msg)
        return int(found.pop())

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 - scikit-learn's
        """Return the names of a map's axes, as scikit-learn makes them: the class's name and a number."""
        self._check_is_fitted()
        n_axes = vars(self)["embeddings_"][0].shape[1]
        return np.array([f"{type(self).__name__.lower()}{axis}" for axis in range(n_axes)], dtype=object)

    def _note_names(self, X: Iterable[Any]) -> None:
        """Set `feature_names_in_` where every window is a frame with the same names of columns, all strings."""
        vars(self).pop("feature_names_in_", None)
        columns = [_read_names(rows) for rows in X]
        self._window_names = columns
        if columns[0] and all(names == columns[0] for names in columns):
            self.feature_names_in_ = np.array(columns[0], dtype=object)

    def _note_more_names(self, rows: Any) -> None:
        """Keep `feature_names_in_` only where one window more has the same names."""
        self._window_names = [*self._window_names, _read_names(rows)]
        if hasattr(self, "feature_names_in_") and _read_names(rows) != self.feature_names_in_.tolist():
            del self.feature_names_in_

    def _check_names(self, rows: Any, index: int) -> None:
        """Refuse a frame whose columns are not those of a window, in their order; one without names passes."""
        names = _read_names(rows)
        known = vars(self).get("_window_names", [])
        fitted = known[index] if index < len(known) else []
        if not names or not fitted or names == fitted:
            return
        is_common = hasattr(self, "feature_names_in_")
        whose = "the windows" if is_common else f"window {index}"
        if sorted(names) == sorted(fitted):
            first = next(place for place, name in enumerate(names) if name != fitted[place])
            remedy = "give X[model.feature_names_in_]" if is_common else f"give them as window {index} has them"
            msg = (
                f"X has the columns of {whose} in another order (column {first} is {names[first]!r}, was "
                f"{fitted[first]!r}); {remedy}."
            )
            raise InvalidInputError(msg)
        found = [f"without {_list_some(missing)}"] if (missing := [n for n in fitted if n not in set(names)]) else []
        found += [f"with {_list_some(more)}"] if (more := [n for n in names if n not in set(fitted)]) else []
        found = found or ["a column twice"]
        those = "of feature_names_in_" if is_common else f"of window {index}"
        msg = f"X has other columns than {whose} ({', '.join(found)}); give those {those}, in its order."
        raise InvalidInputError(msg)

    def _shape_map(self, positions: Float32Array, rows: Any) -> Any:
        own = vars(self).get("_sklearn_output_config", {}).get("transform")
        return shape_map(positions, rows, self.get_feature_names_out().tolist(), find_output(own))

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return str(self._make_twin().__repr__(N_CHAR_MAX))

    def __sklearn_tags__(self) -> Any:
        return self._make_twin().__sklearn_tags__()

    @property
    def _repr_html_(self) -> Callable[[], str]:
        plain: Callable[[], str] = self._make_twin()._repr_html_  # an AttributeError where scikit-learn shows text
        return self._show_maps if hasattr(self, "embeddings_") else plain

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = self._make_twin()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": self._repr_html_()} if "text/html" in bundle else bundle

    def _show_maps(self) -> str:
        return describe_maps(repr(self), vars(self)["embeddings_"])

    @classmethod
    @cache
    def _list_parameters(cls) -> tuple[str, ...]:
        return tuple(sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self"))

    def _check_is_fitted(self) -> None:
        if hasattr(self, "embeddings_"):
            return
        from sklearn.exceptions import NotFittedError

        msg = f"this {type(self).__name__} is not fitted yet; call fit with the windows first."
        raise NotFittedError(msg)

    def _request(self, method: str, requests: dict[str, Any]) -> Self:
        twin = self._make_twin()
        getattr(twin, method)(**requests)
        vars(self)["_metadata_request"] = vars(twin)["_metadata_request"]
        return self

    def _make_twin(self) -> Any:
        """Make scikit-learn's own estimator of the same name, parameters and requests; it fits nothing."""
        kind: Any = type(self)
        twin = _make_twin_class(kind)(**self.get_params(deep=False))
        if (requests := vars(self).get("_metadata_request")) is not None:
            vars(twin)["_metadata_request"] = requests
        return twin


def _read_names(rows: Any) -> list[str]:
    """Return the names of a frame's columns; none where they are not all strings."""
    found = getattr(rows, "columns", None)
    names = [] if found is None else list(found)
    return names if all(isinstance(name, str) for name in names) else []


def _list_some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


@cache
def _make_twin_class(kind: Any) -> Any:
    from sklearn.base import BaseEstimator  # late: 0.8 s

    names = ("__init__", "__doc__", "__module__", "fit", "transform")
    return type(kind.__name__, (BaseEstimator,), {name: getattr(kind, name) for name in names if hasattr(kind, name)})
