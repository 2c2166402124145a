"""Rows of a batch by image and view: the views of an image are adjacent, the plainest one first."""

from torch import Tensor


def by_image(rows: Tensor, views: int) -> Tensor:
    """(batch * views, ...) as (batch, views, ...); a ValueError where the rows are no whole images."""
    if rows.shape[0] % views:
        raise ValueError(f"{rows.shape[0]} rows are not a whole number of images of {views} views each")
    return rows.reshape(-1, views, *rows.shape[1:])


def unrotated(rows: Tensor, views: int) -> Tensor:
    """The first view of each image, (batch, ...)."""
    return by_image(rows, views)[:, 0]


def rotated(rows: Tensor, views: int) -> Tensor:
    """All views but the first, (batch * (views - 1), ...)."""
    return by_image(rows, views)[:, 1:].flatten(0, 1)
