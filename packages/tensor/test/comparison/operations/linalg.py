"""Linear algebra. Symmetric arguments are read as (A + Aᵀ) / 2, vectors turn their largest entry positive."""

import torch


def symmetric(x):
    return (x + x.mT) / 2


def signs(vectors):
    where = vectors.abs().argmax(-2, keepdim=True)
    return torch.sign(vectors.gather(-2, where)).detach()


def triangular_solve(inputs, attributes):
    a, b = inputs
    upper, turned = attributes["upper"], attributes["transpose"]
    a = a.triu() if upper else a.tril()
    return torch.linalg.solve_triangular(a.mT if turned else a, b, upper=upper != turned)


def roots(inputs, attributes):
    values, vectors = torch.linalg.eigh(symmetric(inputs[0]))
    power = lambda p: (vectors * (values**p)[..., None, :]) @ vectors.mT
    return [power(-0.5), power(0.5)]


def polar(inputs, attributes):
    u, _, vh = torch.linalg.svd(inputs[0], full_matrices=False)
    return u @ vh


def eigen(inputs, attributes):
    values, vectors = torch.linalg.eigh(symmetric(inputs[0]))
    return [values, vectors * signs(vectors)]


def svd(inputs, attributes):
    u, s, vh = torch.linalg.svd(inputs[0], full_matrices=False)
    turn = signs(vh.mT) if inputs[0].shape[-2] >= inputs[0].shape[-1] else signs(u)
    return [u * turn, s, vh.mT * turn]


OPERATIONS = {
    "cholesky": lambda inputs, a: torch.linalg.cholesky(symmetric(inputs[0])),
    "logDeterminant": lambda inputs, a: torch.logdet(symmetric(inputs[0])),
    "solvePositive": lambda inputs, a: torch.linalg.solve(symmetric(inputs[0]), inputs[1]),
    "inverse": lambda inputs, a: torch.inverse(inputs[0]),
    "triangularSolve": triangular_solve,
    "inverseSquareRoot": roots,
    "orthogonalize": polar,
    "symmetricEigen": eigen,
    "svd": svd,
}
