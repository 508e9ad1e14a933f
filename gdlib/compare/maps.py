"""A map of texts: vectors brought to two dimensions, and who is nearest to whom."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Vectors = NDArray[np.floating]
COMPONENTS, PERPLEXITY, NEIGHBOURS = 50, 30, 5
CHUNK = 2048  # rows whose cosines with all others are in memory at a time


def directions(vectors: Vectors) -> Vectors:
    """The vectors at length one, of which dot products are cosines; one of zeros stays as it is.
    *Shape:* ``[texts, width]``, float32.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def nearest(vectors: Vectors, others: Vectors, count: int = 1) -> tuple[NDArray, NDArray]:
    """For each vector, the rows of the ``count`` nearest others by cosine, nearest first, and the
    cosines.

    Args:
        vectors: of length one (:func:`directions`). *Shape:* ``[texts, width]``
        others: the same, at least ``count``. *Shape:* ``[others, width]``
        count: how many.

    Returns:
        Rows and cosines. *Shape:* ``[texts, count]`` each.
    """
    rows, cosines = [np.empty((0, count), int)], [np.empty((0, count), np.float32)]
    for start in range(0, len(vectors), CHUNK):
        found = vectors[start : start + CHUNK] @ others.T
        near = np.argpartition(-found, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(found, near, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        rows.append(np.take_along_axis(near, order, axis=1))
        cosines.append(np.take_along_axis(values, order, axis=1))
    return np.concatenate(rows), np.concatenate(cosines)


def projected(vectors: Vectors, seed: int, at_most: int = 2000) -> Vectors:
    """Places on a map on which texts with like vectors lie together.

    The directions of the vectors, brought to at most 50 dimensions by PCA, then to two by t-SNE
    (van der Maaten and Hinton 2008, by trees as in van der Maaten 2014). Of more than ``at_most``
    texts, so many are drawn for t-SNE, and each of the others is put at the mean place of the five
    that are nearest to it, weighted by cosine: so a hundred thousand take seconds more, not hours.
    Done in one thread, since a picture should not depend on their number.

    Args:
        vectors: one per text. *Shape:* ``[texts, width]``
        seed: of the draw.
        at_most: texts that t-SNE itself sees.

    Returns:
        Places, in a square from 0 to 1. *Shape:* ``[texts, 2]``, float32. Fewer than ten texts, and
        texts that are all the same, are placed by PCA alone.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    points = directions(vectors)
    if len(points) < 3:
        return np.full((len(points), 2), 0.5, np.float32)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(points))[:at_most])
    with threadpool_limits(1):
        pca = PCA(min(COMPONENTS, len(drawn), points.shape[1]), random_state=seed)
        points = pca.fit(points[drawn]).transform(points)
        places = points[drawn, :2]
        # Of texts that are all the same t-SNE divides by a spread of zero, and crashes.
        if len(drawn) >= 10 and np.ptp(places[:, 0]) > 1e-9:
            perplexity = min(PERPLEXITY, (len(drawn) - 1) / 3)
            tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
            places = tsne.fit_transform(points[drawn])
        if len(drawn) < len(points):
            places = _beside(points, drawn, places)
    low = places.min(axis=0)
    return ((places - low) / np.maximum(places.max(axis=0) - low, 1e-9).max()).astype(np.float32)


def _beside(points: Vectors, drawn: NDArray, places: Vectors) -> Vectors:
    """The places of all points, from those of the drawn ones. *Shape:* ``[texts, 2]``."""
    points = directions(points)
    rows, cosines = nearest(points, points[drawn], min(NEIGHBOURS, len(drawn)))
    weights = np.maximum(cosines, 1e-3)[..., None]
    found = (places[rows] * weights).sum(axis=1) / weights.sum(axis=1)
    found[drawn] = places
    return found
