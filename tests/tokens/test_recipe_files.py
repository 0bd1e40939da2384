"""Recipes out of every kind of folder: Hugging Face old and new, timm, open_clip, none, and broken ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from PIL import Image
from tests import folders

import classtoken as ct
from classtoken.errors import ModelError, OptionError
from classtoken.tokens.image import patch_size
from classtoken.tokens.recipe import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD, ImageRecipe
from classtoken.tokens.recipe_files import CLASSES, read_recipe


def folder_of(tmp_path: Path, **files: Any) -> Path:
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return tmp_path


OLD = {
    # old files: bare numbers, and extractors instead of processors
    "ViTFeatureExtractor": ({"size": 384, "resample": 2}, ("squash", (384, 384), None, "bilinear")),
    "DeiTFeatureExtractor": (
        {"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
        ("squash", (256, 256), (224, 224), "bicubic"),
    ),
    "CLIPFeatureExtractor": ({"size": 224, "crop_size": 224}, ("short side", (224, 224), (224, 224), "bicubic")),
    "BeitFeatureExtractor": ({"size": 224, "do_center_crop": False}, ("squash", (224, 224), None, "bicubic")),
    "ConvNextFeatureExtractor": ({"size": 224}, ("short side", (256, 256), (224, 224), "bicubic")),
    "BitImageProcessor": (
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
        ("short side", (256, 256), (224, 224), "bicubic"),
    ),
    "SiglipImageProcessor": ({"size": {"height": 384, "width": 384}}, ("squash", (384, 384), None, "bicubic")),
    "Siglip2ImageProcessorFast": ({"max_num_patches": 100}, ("patches", (224, 224), None, "bilinear")),
    "DINOv3ViTImageProcessorFast": ({"size": {"height": 224, "width": 224}}, ("squash", (224, 224), None, "bilinear")),
}


@pytest.mark.parametrize("name", OLD)
def test_processor_classes_and_their_defaults(name: str, tmp_path: Path) -> None:
    settings, expected = OLD[name]
    key = "feature_extractor_type" if name.endswith("Extractor") else "image_processor_type"
    recipe = read_recipe(folder_of(tmp_path, preprocessor_config={key: name, **settings}))
    assert (recipe.resize, recipe.size, recipe.crop, recipe.interpolation) == expected
    assert recipe.source == "preprocessor_config.json"
    assert recipe.rescale_first == name.startswith("DINOv3")
    assert not recipe.notes


@pytest.mark.parametrize("name", CLASSES)
def test_the_defaults_of_a_processor_class_are_those_of_transformers(name: str) -> None:
    theirs = getattr(transformers, f"{name}ImageProcessorPil", None)
    if theirs is None:
        pytest.skip("this processor exists only where torchvision is")
    ours = CLASSES[name]
    assert (ours.mean, ours.std) == (tuple(theirs.image_mean), tuple(theirs.image_std))
    assert ours.interpolation == Image.Resampling(theirs.resample).name.lower()
    assert ours.cropping == bool(getattr(theirs, "do_center_crop", False))
    if getattr(theirs, "size", None) is not None:
        assert set(dict(theirs.size).values()) == set(ours.size)
        assert ours.short_side == (not theirs.default_to_square)
    crop = getattr(theirs, "crop_size", None)
    assert ours.crop == (None if crop is None else (crop["height"], crop["width"]))


CLIP, VIT_LIKE = {"image_processor_type": "CLIPImageProcessor"}, {"image_processor_type": "ViTImageProcessor"}


def test_a_file_without_a_class_takes_the_usual_one(tmp_path: Path) -> None:
    settings = {"size": 224, "do_normalize": True}
    clip = read_recipe(folder_of(tmp_path, preprocessor_config=settings), CLIP)
    assert (clip.resize, clip.mean, clip.std) == ("short side", CLIP_MEAN, CLIP_STD)
    vit = read_recipe(folder_of(tmp_path, preprocessor_config=settings), VIT_LIKE)
    assert (vit.resize, vit.mean, vit.std) == ("squash", HALF, HALF)


def test_processor_config_wins_when_it_holds_the_image_processor(tmp_path: Path) -> None:
    inner = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 48}}
    other = {"image_processor_type": "ViTImageProcessor", "size": 96}
    recipe = read_recipe(folder_of(tmp_path, processor_config={"image_processor": inner}, preprocessor_config=other))
    assert (recipe.size, recipe.source) == ((32, 48), "processor_config.json")
    recipe = read_recipe(folder_of(tmp_path, processor_config={"processor_class": "CLIPProcessor"}))
    assert recipe.size == (96, 96)


def test_the_first_module_of_a_sentence_transformers_folder(tmp_path: Path) -> None:
    inner = tmp_path / "0_CLIPModel"
    inner.mkdir()
    folder_of(
        inner, preprocessor_config={"size": 224}, config={"model_type": "clip", "vision_config": {"patch_size": 32}}
    )
    folder_of(tmp_path, modules=[{"idx": 0, "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}])
    assert read_recipe(tmp_path, CLIP).mean == CLIP_MEAN
    assert patch_size(tmp_path) == 32


TIMM = {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5] * 3, "std": [0.5] * 3}


def test_timm(tmp_path: Path) -> None:
    config = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {**TIMM, "crop_mode": "center"}}
    recipe = read_recipe(folder_of(tmp_path, config=config))
    assert (recipe.resize, recipe.size, recipe.crop) == ("short side", (248, 248), (224, 224))  # floor(224 / 0.9)
    assert (recipe.rounding, recipe.mean) == ("torchvision", HALF)
    squash = read_recipe(
        folder_of(tmp_path, config={"pretrained_cfg": {**TIMM, "crop_mode": "squash", "crop_pct": 1.0}})
    )
    assert (squash.resize, squash.size, squash.crop) == ("squash", (224, 224), (224, 224))
    border = read_recipe(folder_of(tmp_path, config={"pretrained_cfg": {**TIMM, "crop_mode": "border"}}))
    assert (border.resize, border.fill) == ("fit", (128, 128, 128))
    old = read_recipe(folder_of(tmp_path, config={"architecture": "vit", "input_size": [3, 64, 96]}))
    assert (old.size, old.crop, old.mean) == ((73, 109), (64, 96), IMAGENET_MEAN)  # crop_pct 0.875 when it is silent
    with pytest.raises(ModelError, match="crop_mode 'odd' is not known; allowed are center, squash and border"):
        read_recipe(folder_of(tmp_path, config={"pretrained_cfg": {**TIMM, "crop_mode": "odd"}}))


def test_open_clip(tmp_path: Path) -> None:
    model = {"vision_cfg": {"image_size": 224, "patch_size": 32}}
    recipe = read_recipe(folder_of(tmp_path, open_clip_config={"model_cfg": model, "preprocess_cfg": {}}))
    assert (recipe.resize, recipe.size, recipe.crop, recipe.mean) == ("short side", (224, 224), (224, 224), CLIP_MEAN)
    settings = {
        "resize_mode": "squash",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "size": [64, 32],
        "interpolation": "bilinear",
    }
    model["vision_cfg"]["image_size"] = [64, 32]
    recipe = read_recipe(folder_of(tmp_path, open_clip_config={"model_cfg": model, "preprocess_cfg": settings}))
    assert (recipe.resize, recipe.size, recipe.crop, recipe.interpolation) == ("squash", (64, 32), None, "bilinear")
    assert not recipe.notes
    settings = {"resize_mode": "longest", "fill_color": 5}
    recipe = read_recipe(folder_of(tmp_path, open_clip_config={"model_cfg": model, "preprocess_cfg": settings}))
    assert (recipe.resize, recipe.fill) == ("fit", (5, 5, 5))
    with pytest.raises(ModelError, match="resize_mode 'odd' is not known"):
        read_recipe(folder_of(tmp_path, open_clip_config={"preprocess_cfg": {"resize_mode": "odd"}}))


@pytest.mark.parametrize(
    ("vision", "mode", "size"),
    [
        ({"image_size": 64}, "shortest", (64, 64)),
        ({"image_size": [64, 32]}, "squash", (64, 32)),
        ({"image_size": [64, 32]}, "longest", (64, 32)),
        ({}, "shortest", (224, 224)),  # the image_size of a CLIPVisionCfg that says none
    ],
)
def test_open_clips_images_have_the_size_of_the_model(
    vision: dict[str, Any], mode: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """Every version of open_clip from 2.20 to 3.3 puts `visual.image_size` in the place of preprocess_cfg's size."""
    settings = {"size": 40, "resize_mode": mode, "interpolation": "bilinear"}
    config = {"model_cfg": {"vision_cfg": {"patch_size": 8, **vision}}, "preprocess_cfg": settings}
    recipe = read_recipe(folder_of(tmp_path, open_clip_config=config))
    assert recipe.size == size
    assert recipe.crop == (None if mode == "squash" else size)
    says = (
        f"says 40x40 pixels in preprocess_cfg and {size[0]}x{size[1]} in vision_cfg: images are prepared at {size[0]}"
    )
    assert says in recipe.advice()[0]


def test_without_a_file_the_default_is_taken_and_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing says how images are prepared"):
        read_recipe(tmp_path)
    with pytest.raises(ModelError, match="nothing says how images are prepared"):
        read_recipe(tmp_path, VIT_LIKE)  # nobody says that models like this one are prepared so
    recipe = read_recipe(tmp_path, VIT_LIKE, "what ViT checkpoints use")
    assert recipe.size == (224, 224)
    assert recipe.advice() == ("no preprocessor file in the folder: what ViT checkpoints use is assumed",)


COMPLETE = {
    "do_resize": True,
    "size": {"height": 8, "width": 8},
    "do_normalize": True,
    "image_mean": 0.5,
    "image_std": [0.2],
}


def test_an_unknown_processor_whose_defaults_are_handed_down_may_be_silent(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, preprocessor_config={"image_processor_type": "MyImageProcessor", "image_std": [0.4]})
    recipe = read_recipe(folder, {"image_processor_type": "MyImageProcessorFast", **COMPLETE})
    assert (recipe.size, recipe.mean, recipe.std) == ((8, 8), (0.5,) * 3, (0.4,) * 3)
    with pytest.raises(ModelError, match="is not one known here"):
        read_recipe(folder, {"image_processor_type": "OtherImageProcessor", **COMPLETE})


def test_an_unknown_processor_is_read_when_its_file_is_complete(tmp_path: Path) -> None:
    recipe = read_recipe(
        folder_of(tmp_path, preprocessor_config={"image_processor_type": "MyImageProcessor", **COMPLETE})
    )
    assert (recipe.resize, recipe.mean, recipe.std) == ("squash", HALF, (0.2, 0.2, 0.2))
    assert "names My processor, unknown here" in recipe.advice()[0]
    with pytest.raises(ModelError, match=r"'My' is not one known here .*leaves out size, do_normalize"):
        read_recipe(
            folder_of(tmp_path, preprocessor_config={"image_processor_type": "MyImageProcessor", "do_resize": True})
        )


BROKEN = {
    "not JSON": ("{", "no readable JSON file"),
    "a list": ([1], "holds a list"),
    "padding": ({**COMPLETE, "do_pad": True}, "do_pad is not done"),
    "size in words": ({**COMPLETE, "size": "big"}, "size 'big' is neither"),
    "half a size": ({**COMPLETE, "size": {"height": 3}}, "must have height and width, or shortest_edge"),
    "no size": ({**COMPLETE, "size": {"height": -3, "width": 4}}, "must be at least one pixel"),
    "crop": ({**COMPLETE, "do_center_crop": True, "crop_size": {"height": 3}}, "crop_size .* must be a number"),
    "resample": ({**COMPLETE, "resample": 17}, "interpolation 17 is not known; allowed are nearest"),
    "two means": ({**COMPLETE, "image_mean": [0.1, 0.2]}, "must be three numbers"),
    "cut twice": (
        {
            **COMPLETE,
            "image_processor_type": "ConvNextImageProcessor",
            "size": {"shortest_edge": 36},
            "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
        },
        "cuts images to 36x36 below 384 by itself, and do_center_crop would cut them again",
    ),
    "zero std": ({**COMPLETE, "image_std": [0, 1, 1]}, "has a zero"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_line(case: str, tmp_path: Path) -> None:
    settings, message = BROKEN[case]
    with pytest.raises(ModelError, match=message) as caught:
        read_recipe(folder_of(tmp_path, preprocessor_config=settings))
    assert "\n" not in str(caught.value)


def test_describe_says_every_step() -> None:
    deit = ImageRecipe(
        resize="squash", size=(256, 256), crop=(224, 224), mean=IMAGENET_MEAN, std=IMAGENET_STD, source="f"
    )
    assert deit.describe() == (
        "resize 256x256 (squashed), bicubic, centre crop 224x224, x/255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225 "
        "(from f)"
    )
    assert "short side 256" in deit.short_side().describe()
    assert "in floating point" in ImageRecipe(resize="squash", rescale_first=True).describe()
    assert "to fit into 224x224" in ImageRecipe(resize="fit").describe()
    assert "short side 8, long side at most 9" in ImageRecipe(resize="short side", size=(8, 8), longest=9).describe()
    assert "to cover 8x9" in ImageRecipe(resize="short side", size=(8, 9)).describe()
    patches = ImageRecipe(resize="patches", patch=16, most_patches=256)
    assert "at most 256 patches of 16x16, bicubic" in patches.describe()


def test_advice_names_oddities_and_only_those() -> None:
    plain = ImageRecipe(resize="squash")
    assert plain.advice((224, 224)) == ()
    assert "positions are interpolated" in plain.advice((518, 518))[0]
    squashed = ImageRecipe(resize="squash", size=(256, 256), crop=(224, 224))
    assert "resizes the short side to 256" in squashed.advice()[0]
    assert squashed.short_side().advice() == ()
    assert "not resized" in ImageRecipe().advice()[0]
    assert "not cropped" in ImageRecipe(resize="short side").advice()[0]
    assert "gets a border" in " ".join(ImageRecipe(resize="squash", size=(200, 200), crop=(224, 224)).advice())
    odd = ImageRecipe(resize="squash", rescale=None, mean=None, std=None).advice()
    assert "not rescaled" in odd[0]
    assert "not normalised" in odd[1]


def test_other_image_sizes() -> None:
    recipe = ImageRecipe(resize="short side", size=(256, 256), crop=(224, 224)).at(448)
    assert (recipe.size, recipe.crop) == ((512, 512), (448, 448))
    assert ImageRecipe(resize="squash").at(96).size == (96, 96)
    with pytest.raises(OptionError, match="no fixed image size"):
        ImageRecipe(resize="short side").at(96)
    with pytest.raises(OptionError, match="at least 1"):
        ImageRecipe(resize="squash").at(0)
    with pytest.raises(ModelError, match="go together"):
        ImageRecipe(mean=None)
    with pytest.raises(ModelError, match="bilinear or bicubic only"):
        ImageRecipe(rescale_first=True, interpolation="lanczos")
    with pytest.raises(ModelError, match="needs the patch size"):
        ImageRecipe(resize="patches")


@pytest.mark.parametrize("flag", ["do_resize", "do_center_crop", "do_rescale", "do_normalize"])
@pytest.mark.parametrize("name", ["CLIPImageProcessor", "ViTImageProcessor", "SiglipImageProcessor"])
def test_a_flag_that_is_null_is_off_and_one_that_is_silent_is_the_class_habit(
    flag: str, name: str, tmp_path: Path
) -> None:
    from classtoken.tokens.pixels import prepare

    for settings in ({flag: None}, {}):
        folder = folder_of(tmp_path, preprocessor_config={"image_processor_type": name, **settings})
        picture = Image.effect_noise((260, 300), 60).convert("RGB")
        found = prepare(picture, read_recipe(folder)).values
        theirs = transformers.AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="np")
        wanted = theirs["pixel_values"][0]
        assert found.shape == wanted.shape
        assert abs(found - wanted).max() <= 1e-4


def test_patches_are_not_given_to_a_model_that_reads_whole_images(tmp_path: Path) -> None:
    folders.tiny_vit(tmp_path)
    settings = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16}
    folder_of(tmp_path, preprocessor_config=settings)
    with pytest.raises(ModelError, match="prepares patches of 8 pixels, and its model reads whole images"):
        ct.load(tmp_path)


def test_patches_of_one_channel_are_refused_when_the_model_is_opened() -> None:
    with pytest.raises(ModelError, match=r"resizing to patches needs .* a model of 3 colours, not 1 \(1\)"):
        ImageRecipe(resize="patches", patch=8, most_patches=4, channels=1)
