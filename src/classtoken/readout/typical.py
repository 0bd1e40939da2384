"""How typical a record is of the labels that a classifier knows: its distance to them, among that of held-out records.

distance   to the mean vector of the nearest label, in units of the spread within labels (Mahalanobis; Lee et al. 2018)
typical    (1 + held-out records at least as far) / (1 + held-out records)

`typical` is a conformal p value (Vovk et al. 2005; for outliers Bates et al. 2023): of new records like those learned
from, at most a share a comes out at a or below, whatever the vectors are. A low one says "none of my labels", however
sure the classifier is: it must name one of them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Typical(nn.Module):
    """vectors -> how typical each is, in (0, 1].

    centres_CV: means of the labels, and whitening_VV, a matrix W with W W^T the inverse of the spread within labels;
    centres are kept as `mean W`. distances_N: of the held-out records, ascending.
    """

    centres_CV: Tensor
    whitening_VV: Tensor
    distances_N: Tensor

    def __init__(
        self,
        centres_CV: Float[Tensor, "C V"],
        whitening_VV: Float[Tensor, "V V"],
        distances_N: Float[Tensor, " N"],
    ) -> None:
        super().__init__()
        self.register_buffer("centres_CV", centres_CV.float())
        self.register_buffer("whitening_VV", whitening_VV.float())
        self.register_buffer("distances_N", distances_N.float().sort().values)

    def distances(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
        """To the nearest label."""
        return torch.cdist(vectors_BV.float() @ self.whitening_VV, self.centres_CV).amin(1)

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
        """Typicality, float32."""
        nearer = torch.searchsorted(self.distances_N, self.distances(vectors_BV).contiguous())
        records = len(self.distances_N)
        return (1 + records - nearer) / (1 + records)
