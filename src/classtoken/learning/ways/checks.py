"""What the training of a given MODEL cannot do, said before any work."""

from classtoken.errors import OptionError
from classtoken.learning.recipe import Recipe
from classtoken.learning.run import TrainingRun
from classtoken.options import TrainOptions
from classtoken.pooling.spec import parse_many


def check_further(run: TrainingRun) -> None:
    """Refuse what only an encoder from scratch, or one that learns, can do."""
    recipe, wanted = run.recipe, run.recipe.objective
    if recipe.data.unlabelled or wanted.kind == "dino":
        what = "records without labels" if recipe.data.unlabelled else f"[objective] kind = '{wanted.kind}'"
        raise OptionError(f"{what}: only an encoder from scratch learns so. Leave out the model; give a [model] table.")
    if run.processes.count > 1 and not recipe.unfreeze:
        raise OptionError(
            "several processes are for an encoder that learns, and a head on frozen vectors needs one; start it "
            "without torchrun."
        )
    if recipe.data.size and not recipe.unfreeze:
        raise OptionError("[data] size is for an encoder that learns; `unfreeze` all of it or last-N.")
    if wanted.kind == "distillation" and not recipe.unfreeze:
        raise OptionError("a teacher has nothing to teach a frozen encoder; `unfreeze` all of it or last-N.")


def check_used(recipe: Recipe, options: TrainOptions) -> None:
    """Refuse options that a frozen encoder has no use for."""
    if recipe.unfreeze:
        return
    unused = {"learning_rate": "is chosen on held-out records", "layer_decay": "is for an encoder that learns"}
    unused["patience"] = "is for an encoder that learns"
    specs = parse_many(recipe.pooling) if recipe.pooling else ()
    if recipe.head.kind == "linear" and not any(term.learned for spec in specs for term in spec.terms):
        unused |= dict.fromkeys(("epochs", "batch"), "has no meaning for logistic regression, which is solved exactly")
    for name, why in unused.items():
        if getattr(options, name) is not None:
            raise OptionError(f"`{name}` {why}; leave it out, or `unfreeze` all of the encoder or last-N.")
    if not options.augment:
        raise OptionError("`augment` is for fine-tuning on images; leave it out, or `unfreeze` the encoder.")
