"""A published MODEL trained further: some of its blocks, or all, with a new head."""

from collections.abc import Sequence
from pathlib import Path

from classtoken.embedder import Embedder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import TextStem
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Feed, split
from classtoken.learning.data.images import load_images
from classtoken.learning.data.labels import check, classes_of, targets_of
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts, tokenized
from classtoken.learning.loop.loop import Loop
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import Network, new_head, new_readout, set_regularisation, width_of
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.scratch import Prepared, Trained, fingerprint, objective_for
from classtoken.learning.ways.teacher import text_probabilities
from classtoken.pooling.spec import parse
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record


def unfreeze(encoder: Encoder, which: str) -> int:
    """Let `all` of an encoder learn, or its `last-N` blocks and the final norm; the number of parameters that do."""
    if which == "all":
        chosen = [encoder]
    else:
        word, _, number = which.partition("-")
        if word != "last" or not number.isdigit() or not 1 <= int(number) <= len(encoder.blocks):
            raise OptionError(
                f"--unfreeze {which!r} is not understood; write all, or last-1 to last-{len(encoder.blocks)} for "
                "so many blocks."
            )
        encoder.requires_grad_(False)
        chosen = [*list(encoder.blocks)[-int(number) :], encoder.final_norm]  # type: ignore[list-item]
    for module in chosen:
        module.requires_grad_(True)
    fixed = (
        encoder.shape.stem.sinusoidal
        if isinstance(encoder.shape.stem, TextStem)
        else (encoder.shape.stem.positions == "sinusoidal")
    )
    if fixed:  # sines and cosines are what they are
        encoder.stem.get_parameter(
            "position.weight" if isinstance(encoder.shape.stem, TextStem) else "position"
        ).requires_grad_(False)
    return sum(p.numel() for p in encoder.parameters() if p.requires_grad)


def finetune(
    recipe: Recipe, embedder: Embedder, records: Sequence[Record], out: Path, *, modality: str, device: str
) -> Trained:
    """Train the encoder of a loaded MODEL further on labelled records, as the recipe says."""
    tower = embedder.tower(modality)
    encoder = tower.reading.encoder
    if not is_trainable(encoder) or (tower.reading.family is None and tower.reading.config.get("shape") is None):
        raise OptionError(
            f"'{embedder.name}' comes in as a foreign module, whose weights are not trained here. Leave out "
            "--unfreeze: a head on its frozen vectors can be."
        )
    prepared = _prepare(recipe, embedder, records, modality, device)
    unfreeze(encoder, recipe.unfreeze)
    set_regularisation(encoder, recipe.loop.drop_path, recipe.loop.dropout)
    spec, seed = parse(recipe.pooling), recipe.loop.seed
    for term in spec.terms:
        if not term.learned:
            tower.reading.check(term)
    readout = new_readout(
        spec,
        encoder,
        prepared.over,
        positions=prepared.layout_positions,
        grid=prepared.grid,
        seed=seed_of(seed, WEIGHTS),
    )
    head = new_head(
        recipe.head.kind,
        width_of(readout, encoder.hidden_size),
        prepared.labels,
        hidden=recipe.head.hidden,
        seed=seed_of(seed, WEIGHTS, 1),
    )
    network = Network(encoder, readout, head)
    options = recipe.loop
    loop = Loop(
        objective_for(recipe, network, prepared, device),
        Feed(prepared.data, prepared.learned, options.batch, options.seed),
        Feed(prepared.data, prepared.held_out, options.batch, options.seed) if len(prepared.held_out) else None,
        options,
        recipe.optimiser,
        folder=out,
        fingerprint=prepared.fingerprint,
        depth=encoder.depth,
        device=device,
        title=out.name,
    )
    return Trained(network, prepared, loop.run())


def _prepare(recipe: Recipe, embedder: Embedder, records: Sequence[Record], modality: str, device: str) -> Prepared:
    """Records as the model's own preprocessing makes them; pictures stay bytes until they are augmented."""
    tower = embedder.tower(modality)
    prepare = tower.prepare
    if isinstance(prepare, ImagePreprocessor):
        wanted = prepare.recipe
        if wanted.output is None or wanted.mean is None or wanted.std is None:
            raise OptionError(
                f"fine-tuning needs pictures of one size, and this model's recipe is: {wanted.describe()}."
            )
        pixels, kept, refused = load_images(records, wanted)
    else:
        assert isinstance(prepare, TextPreprocessor)
        rows, kept, refused = tokenized(prepare, records)
    labels, several = classes_of(kept)
    check(kept, labels)
    targets = targets_of(kept, labels, several)
    learned, held_out = split([record.label for record in kept], recipe.data.held_out, recipe.loop.seed)
    over, layout = tower.reading.over, tower.layout
    if isinstance(prepare, ImagePreprocessor):
        assert wanted.mean is not None
        assert wanted.std is not None
        data: Pictures | Texts = Pictures(
            pixels.to(device), targets.to(device), layout, wanted.mean, wanted.std, recipe.augment, len(labels)
        )
        mark = fingerprint(recipe, kept, pixels.numpy().tobytes())
        grid = layout.grid
        return Prepared(
            data,
            labels,
            several,
            learned,
            held_out,
            tuple(refused),
            mark,
            grid[0] * grid[1] if grid else None,
            grid,
            over,
        )
    assert isinstance(prepare, TextPreprocessor)
    texts = [str(record.text) for record in kept]
    teacher = recipe.objective.teacher if recipe.objective.kind == "distillation" else None
    taught = (
        None if teacher is None else text_probabilities(teacher, texts, learned, targets, labels, device).to(device)
    )
    data = Texts(rows, targets.to(device), prepare, device, recipe.augment.drop_words, taught)
    mark = fingerprint(recipe, kept, "\0".join(texts).encode())
    longest = max(len(row) for row in rows)
    return Prepared(data, labels, several, learned, held_out, tuple(refused), mark, longest, None, over)
