"""The reader's network: question and passage in one sequence of characters, spans out.

Small on purpose: it must read several passages within tens of milliseconds on one CPU core.
Input: characters with the words around them (as lattice models do, cheaply), exact-match features
(DrQA, Chen et al. 2017) and a soft alignment of each side's embeddings to the other (Seo et al.
2017). A convolution over characters; then pairs of characters are taken together (as in
Funnel-Transformer, Dai et al. 2020) for blocks of convolution, self-attention and feed-forward
(QANet, Yu et al. 2018), which is where the time goes; then back to characters, beside what they
were. Heads: start and end of the answer, normalised over all passages of a question (Clark and
Gardner 2018), and whether the passage answers at all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_FEATURES = 8
QUESTION = 66
"""Positions that may belong to the question, with the marks around it."""


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


class Convolution(nn.Module):
    """A pre-normalised residual convolution over the sequence."""

    def __init__(self, width: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, reach, padding=reach // 2)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """``x`` float (B, L, width); ``keep`` float (B, L, 1), 0 at padding."""
        y = self.norm(x) * keep
        return x + self.dropout(F.relu(self.conv(y.transpose(1, 2)).transpose(1, 2)))


class Block(nn.Module):
    """Convolution, self-attention, feed-forward; pre-normalised residual branches."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.convolution = Convolution(width, 3, dropout)
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_ff = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, keep: Tensor, bias: Tensor) -> Tensor:
        """``x`` float (B, L, width); ``keep`` float (B, L, 1), 0 at padding; ``bias`` (B, 1, 1, L)."""
        x = self.convolution(x, keep)
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        # Written out: with the short sequences of this model, faster on a CPU than the fused kernel.
        y = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(2, 3) + bias, -1) @ v
        x = x + self.dropout(self.out(y.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.down(F.relu(self.up(self.norm_ff(x)))))


class Reader(nn.Module):
    """Characters, words and features of ``[ASK] question [SEP] passage`` to span scores.

    ``width`` is that of characters, ``body`` that of pairs of characters.
    """

    def __init__(
        self,
        n_chars: int,
        n_words: int,
        width: int = 128,
        body: int = 224,
        blocks: int = 6,
        heads: int = 4,
        embedding: int = 128,
        max_length: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.char = nn.Embedding(n_chars, embedding)
        self.word = nn.Embedding(n_words, embedding)
        self.mark = nn.Embedding(4, 16)
        self.position = nn.Embedding(max_length // 2, body)
        self.side = nn.Embedding(2, width)
        self.project = nn.Linear(2 * embedding + 16, width)
        self.align_query = nn.Linear(2 * embedding, 96)
        self.align_project = nn.Linear(2 * (2 * embedding) + 1, width)
        self.features = nn.Linear(N_FEATURES, width)
        self.stem = Convolution(width, 5, dropout)
        self.join = nn.Linear(2 * width, body)
        self.blocks = nn.ModuleList(Block(body, heads, dropout) for _ in range(blocks))
        self.part = nn.Linear(body, 2 * width)
        self.crown = Convolution(width, 5, dropout)
        self.norm = nn.LayerNorm(width)
        self.norm_body = nn.LayerNorm(body)
        self.start = nn.Linear(width, 1)
        self.end = nn.Linear(width, 1)
        self.answers = nn.Sequential(nn.Linear(2 * body + width, body), nn.ReLU(), nn.Linear(body, 1))
        self.mlm = nn.Linear(width, embedding)
        self.mlm_bias = nn.Parameter(torch.zeros(n_chars))
        self.dropout = ChannelDropout(dropout)
        for table in (self.char, self.word, self.mark, self.position, self.side):
            nn.init.normal_(table.weight, std=0.1)

    def _aligned(self, e: Tensor, side: Tensor, keep: Tensor) -> Tensor:
        """What the other side holds that is most like each character; float (B, L, width)."""
        key = self.align_query(e)
        asked, of_question = e[:, :QUESTION], key[:, :QUESTION]
        passage = (side * keep.squeeze(-1).to(side.dtype)).unsqueeze(1)
        question = ((1 - side) * keep.squeeze(-1).to(side.dtype))[:, :QUESTION].unsqueeze(1)
        scale = key.shape[-1] ** -0.5
        # Only question against passage: the rest of the square would be masked anyway.
        to_question = (key @ of_question.transpose(1, 2) * scale).masked_fill(question == 0, -1e4)
        to_passage = (of_question @ key.transpose(1, 2) * scale).masked_fill(passage == 0, -1e4)
        from_question = torch.softmax(to_question, -1) @ asked
        from_passage = torch.softmax(to_passage, -1) @ e
        here = side[:, :QUESTION].unsqueeze(-1) == 0
        best_q, best_p = to_question.max(-1, keepdim=True).values, to_passage.max(-1, keepdim=True).values
        aligned = torch.cat([torch.where(here, from_passage, from_question[:, :QUESTION]), from_question[:, QUESTION:]], 1)
        best = torch.cat([torch.where(here, best_p, best_q[:, :QUESTION]), best_q[:, QUESTION:]], 1)
        return self.align_project(torch.cat([aligned, aligned * e, best.clamp(min=-50.0) / 10.0], -1))

    def encode(
        self, chars: Tensor, words: Tensor, marks: Tensor, side: Tensor, features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """All int64 (B, L), L even; ``features`` float (B, L, 8), None in pre-training.

        Float (B, L, width) for characters and (B, L / 2, body) for pairs of them.
        """
        keep = (chars != 0).unsqueeze(-1).to(torch.float32)
        e = torch.cat([self.char(chars), self.word(words)], -1)
        x = self.project(torch.cat([e, self.mark(marks)], -1)) + self.side(side)
        if features is not None:
            x = x + self.features(features) + self._aligned(e, side, keep)
        x = self.stem(self.dropout(x), keep)
        pairs = (x * keep).reshape(x.shape[0], -1, 2 * x.shape[2])
        y = self.dropout(self.join(pairs) + self.position.weight[: pairs.shape[1]])
        keep_pairs = keep[:, ::2]
        bias = ((1.0 - keep_pairs) * -1e4).transpose(1, 2).unsqueeze(1)
        for block in self.blocks:
            y = block(y, keep_pairs, bias)
        y = self.norm_body(y)
        x = self.crown(x + self.part(y).reshape(x.shape), keep)
        return self.norm(x), y

    def forward(
        self, chars: Tensor, words: Tensor, marks: Tensor, side: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Start and end scores, float (B, L), -1e4 outside the passage; answerability, float (B,)."""
        return self.heads(*self.encode(chars, words, marks, side, features), chars, side)

    def heads(self, x: Tensor, y: Tensor, chars: Tensor, side: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What ``forward`` gives, from what ``encode`` gives."""
        keep = (chars != 0).to(x.dtype)
        outside = (1.0 - side.to(x.dtype) * keep) * -1e4
        start = self.start(x).squeeze(-1) + outside
        end = self.end(x).squeeze(-1) + outside
        question = ((1.0 - side.to(x.dtype)) * keep)[:, ::2].unsqueeze(-1)
        weights = torch.softmax(start + end, -1).unsqueeze(-1)
        mean = (y * question).sum(1) / question.sum(1).clamp(min=1.0)
        pooled = torch.cat([y[:, 0], mean, (x * weights).sum(1)], -1)
        return start, end, self.answers(pooled).squeeze(-1)

    def masked_scores(self, hidden: Tensor) -> Tensor:
        """Scores over characters for hidden states, float (N, n_chars)."""
        return self.mlm(hidden) @ self.char.weight.T + self.mlm_bias
