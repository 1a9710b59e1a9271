"""Recurrent layers, step by step from their equations."""

import torch


def gru_cell(gates, hidden, state, cell):
    (r, z, n), (dr, dz, dn) = gates.chunk(3, -1), hidden.chunk(3, -1)
    r, z = torch.sigmoid(r + dr), torch.sigmoid(z + dz)
    n = torch.tanh(n + r * dn)
    return (1 - z) * n + z * state, cell


def lstm_cell(gates, hidden, state, cell):
    i, f, g, o = (gates + hidden).chunk(4, -1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def recurrent(step, with_cell):
    def layer(inputs, attributes):
        rest = list(inputs)
        x = rest.pop(0)
        x = x.transpose(0, 1) if attributes["batchFirst"] else x
        directions = attributes["directions"]
        weights = [[rest.pop(0) for _ in range(4 if attributes["biases"] else 2)] for _ in range(directions)]
        steps, batch, width = x.shape[0], x.shape[1], weights[0][1].shape[1]
        zeros = torch.zeros(batch, directions * width, dtype=x.dtype)
        initial = rest.pop(0) if attributes["initial"] else zeros
        cells = rest.pop(0) if attributes["initial"] and with_cell else zeros
        lengths = rest.pop(0) if attributes["lengths"] else torch.full((batch,), steps)
        states, ends, last_cells = [], [], []
        for k, (w, u, *biases) in enumerate(weights):
            b, d = biases or (0, 0)
            state, cell = (all[:, k * width : (k + 1) * width] for all in (initial, cells))
            found = {}
            for t in reversed(range(steps)) if k else range(steps):
                inside = (t < lengths)[:, None]
                new, new_cell = step(x[t] @ w.T + b, state @ u.T + d, state, cell)
                state, cell = torch.where(inside, new, state), torch.where(inside, new_cell, cell)
                found[t] = torch.where(inside, new, torch.zeros_like(new))
            states.append(torch.stack([found[t] for t in range(steps)]))
            ends.append(state)
            last_cells.append(cell)
        y = torch.cat(states, -1)
        results = [y.transpose(0, 1) if attributes["batchFirst"] else y, torch.cat(ends, -1)]
        return [*results, torch.cat(last_cells, -1)] if with_cell else results

    return layer


OPERATIONS = {"gru": recurrent(gru_cell, False), "lstm": recurrent(lstm_cell, True)}
