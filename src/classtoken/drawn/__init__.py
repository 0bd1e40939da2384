"""Pictures that the package draws itself: cluttered scenes with cats, dogs and birds, and the truth about them.

    import classtoken.drawn

    scene = scenes.draw(seed=0, index=7)
    scene.image       # (96, 96, 3) bytes
    scene.labels      # ("bird", "cat")
    scene.mask("cat") # (96, 96) of bool: exactly the pixels in which a cat is seen

Everything follows from (seed, index). What is in a scene shows in shapes alone: animals and things share one palette,
backgrounds are drawn without regard to either. For teaching, and for testing explanations against a known truth.
"""

from classtoken.drawn.compose import LABELS, Scene, SceneObject, draw, draw_tiny
from classtoken.drawn.records import records, tiny_records, write

__all__ = ["LABELS", "Scene", "SceneObject", "draw", "draw_tiny", "records", "tiny_records", "write"]
