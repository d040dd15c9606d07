from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict, Union, overload

import numpy
from numpy.typing import ArrayLike, NDArray

Scope = Literal["layerwise", "global", "erk", "global-normalised", "mac-aware"]
Values = Literal["f32", "f16", "int8"]

class Score(TypedDict):
    images: int
    agreement: float
    accuracy: Union[float, None]
    accuracy_before: Union[float, None]

class Times(TypedDict):
    dense: float
    sparse: float
    compacted: float

class Model:
    @property
    def name(self) -> str: ...
    @property
    def input(self) -> tuple[int, int, int]: ...
    @property
    def classes(self) -> int: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def parameters(self) -> tuple[int, int]: ...
    @property
    def macs(self) -> tuple[int, int]: ...
    @property
    def layers(self) -> list[tuple[str, list[int], int]]: ...
    @property
    def score(self) -> Union[Score, None]: ...
    def predict(self, array: ArrayLike) -> NDArray[numpy.float32]: ...
    def bench(self, batch: int = 1, *, threads: int = 0) -> Times: ...
    def compact(self) -> Model: ...
    def save(self, path: Union[str, PathLike[str]], *, values: Values = "f32") -> None: ...

def load(path: Union[str, PathLike[str]], *, threads: int = 0) -> Model: ...
@overload
def prune(
    model: Union[Model, str, PathLike[str]],
    *,
    sparsity: Union[float, None] = None,
    within: Union[float, None] = None,
    within_ms: Union[float, None] = None,
    within_bytes: Union[int, None] = None,
    images: Union[ArrayLike, None] = None,
    labels: Union[ArrayLike, None] = None,
    include: Union[Sequence[str], None] = None,
    exclude: Union[Sequence[str], None] = None,
    scope: Union[Scope, None] = None,
    reconstruct: bool = True,
    batch: int = 1,
    values: Values = "f32",
) -> Model: ...
@overload
def prune(model: Mapping[str, Any], *, sparsity: float, scope: Scope = "global") -> dict[str, Any]: ...
def prune_state_dict(weights: Mapping[str, Any], sparsity: float, *, scope: Scope = "global") -> dict[str, Any]: ...
def compact(model: Model) -> Model: ...
def export(model: Model, path: Union[str, PathLike[str]], *, values: Values = "f32") -> None: ...
