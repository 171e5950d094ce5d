"""The prefixes of a search as a tree: a node is its parent's prefix and one symbol more. It only grows."""

import numpy as np
from numba import njit

PARENT, SYMBOL, CHILD, SIBLING, PLACE = range(5)  # a node's columns; PLACE in the beam is -1 outside of it


@njit(cache=True)
def more_nodes(nodes, room):
    """The nodes, and room for as many again and `room` more."""
    grown = np.full((2 * len(nodes) + 2 * room, 5), -1, np.int32)
    grown[: len(nodes)] = nodes
    return grown


@njit(cache=True)
def place_of_parent(entry, nodes):
    """Where in the beam an entry's parent is, or -1."""
    parent = nodes[entry.node, PARENT]
    return nodes[parent, PLACE] if parent >= 0 else -1


@njit(cache=True)
def find_node(nodes, count, entry):
    """Move an entry to its node's child by its last symbol, made if need be; the number of nodes then."""
    parent = entry.node
    node = nodes[parent, CHILD]
    while node >= 0 and nodes[node, SYMBOL] != entry.last:
        node = nodes[node, SIBLING]
    if node < 0:
        node, count = count, count + 1
        nodes[node, PARENT], nodes[node, SYMBOL] = parent, entry.last
        nodes[node, SIBLING], nodes[parent, CHILD] = nodes[parent, CHILD], node
    entry.node = node
    return count


@njit(cache=True)
def depth(nodes, node):
    """How many symbols a prefix has."""
    count = 0
    while nodes[node, PARENT] >= 0:
        node, count = nodes[node, PARENT], count + 1
    return count


@njit(cache=True)
def write_labels(nodes, node, skip, labels):
    """The symbols of a prefix into `labels`, but for its last `skip`."""
    for _ in range(skip):
        node = nodes[node, PARENT]
    for u in range(len(labels) - 1, -1, -1):
        labels[u] = nodes[node, SYMBOL]
        node = nodes[node, PARENT]
