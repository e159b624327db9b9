"""The reader's network: question and passage in one sequence of characters, spans out.

Small on purpose: it must read several passages within tens of milliseconds on one CPU core.
Input: characters with the words around them (as lattice models do, cheaply), exact-match features
(DrQA, Chen et al. 2017) and a soft alignment of each side's embeddings to the other (Seo et al.
2017). Body: blocks of convolution, self-attention and feed-forward (QANet, Yu et al. 2018). Heads:
start and end of the answer, normalised over all passages of a question (Clark and Gardner 2018),
and whether the passage answers at all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_FEATURES = 8


class ChannelDropout(nn.Module):
    """Drops whole channels of a sequence: as good a regulariser here, at no cost on a CPU."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0.0:
            return x
        keep = (torch.rand(x.shape[0], 1, x.shape[2]) >= self.share).to(x.dtype) / (1 - self.share)
        return x * keep


class Block(nn.Module):
    """Convolution, self-attention, feed-forward; pre-normalised residual branches."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_conv = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_ff = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, keep: Tensor, bias: Tensor) -> Tensor:
        """``x`` float (B, L, width); ``keep`` float (B, L, 1), 0 at padding; ``bias`` (B, 1, 1, L)."""
        y = self.norm_conv(x) * keep
        x = x + self.dropout(F.relu(self.conv(y.transpose(1, 2)).transpose(1, 2)))
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        # Written out: with the short sequences of this model, faster on a CPU than the fused kernel.
        y = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(2, 3) + bias.to(q.dtype), -1) @ v
        x = x + self.dropout(self.out(y.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.down(F.relu(self.up(self.norm_ff(x)))))


class Reader(nn.Module):
    """Characters, words and features of ``[ASK] question [SEP] passage`` to span scores."""

    def __init__(
        self,
        n_chars: int,
        n_words: int,
        width: int = 192,
        blocks: int = 3,
        heads: int = 6,
        embedding: int = 96,
        max_length: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.config = dict(
            n_chars=n_chars, n_words=n_words, width=width, blocks=blocks, heads=heads,
            embedding=embedding, max_length=max_length,
        )
        self.char = nn.Embedding(n_chars, embedding)
        self.word = nn.Embedding(n_words, embedding)
        self.mark = nn.Embedding(4, 16)
        self.position = nn.Embedding(max_length, width)
        self.side = nn.Embedding(2, width)
        self.project = nn.Linear(2 * embedding + 16, width)
        self.align_query = nn.Linear(2 * embedding, 96)
        self.align_project = nn.Linear(2 * (2 * embedding) + 1, width)
        self.features = nn.Linear(N_FEATURES, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.start = nn.Linear(width, 1)
        self.end = nn.Linear(width, 1)
        self.answers = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        self.mlm = nn.Linear(width, embedding)
        self.mlm_bias = nn.Parameter(torch.zeros(n_chars))
        self.dropout = ChannelDropout(dropout)
        for table in (self.char, self.word, self.mark, self.position, self.side):
            nn.init.normal_(table.weight, std=0.1)

    def _aligned(self, e: Tensor, side: Tensor, keep: Tensor) -> Tensor:
        """What the other side holds that is most like each character; float (B, L, width)."""
        key = self.align_query(e)
        similarity = key @ key.transpose(1, 2) * (key.shape[-1] ** -0.5)
        other = (side.unsqueeze(1) != side.unsqueeze(2)) & keep.bool().transpose(1, 2)
        similarity = similarity.masked_fill(~other, -1e4)
        aligned = torch.softmax(similarity, -1) @ e
        best = similarity.max(-1, keepdim=True).values.clamp(min=-50.0) / 10.0
        return self.align_project(torch.cat([aligned, aligned * e, best], -1))

    def encode(
        self, chars: Tensor, words: Tensor, marks: Tensor, side: Tensor, features: Tensor | None
    ) -> Tensor:
        """All int64 (B, L); ``features`` float (B, L, 8), None in pre-training. Float (B, L, width)."""
        keep = (chars != 0).unsqueeze(-1).to(torch.float32)
        e = torch.cat([self.char(chars), self.word(words)], -1)
        x = self.project(torch.cat([e, self.mark(marks)], -1))
        x = x + self.position.weight[: chars.shape[1]] + self.side(side)
        if features is not None:
            x = x + self.features(features) + self._aligned(e, side, keep)
        x = self.dropout(x)
        bias = ((1.0 - keep) * -1e4).transpose(1, 2).unsqueeze(1)
        for block in self.blocks:
            x = block(x, keep, bias)
        return self.norm(x)

    def forward(
        self, chars: Tensor, words: Tensor, marks: Tensor, side: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Start and end scores, float (B, L), -1e4 outside the passage; answerability, float (B,)."""
        x = self.encode(chars, words, marks, side, features)
        keep = (chars != 0).to(x.dtype)
        passage = side.to(x.dtype) * keep
        outside = (1.0 - passage) * -1e4
        start = self.start(x).squeeze(-1)
        end = self.end(x).squeeze(-1)
        question = (1.0 - side.to(x.dtype)) * keep
        weights = torch.softmax(start + end + outside, -1).unsqueeze(-1)
        mean = (x * question.unsqueeze(-1)).sum(1) / question.sum(1, keepdim=True).clamp(min=1.0)
        pooled = torch.cat([x[:, 0], mean, (x * weights).sum(1)], -1)
        return start + outside, end + outside, self.answers(pooled).squeeze(-1)

    def masked_scores(self, hidden: Tensor) -> Tensor:
        """Scores over characters for hidden states, float (N, n_chars)."""
        return self.mlm(hidden) @ self.char.weight.T + self.mlm_bias
