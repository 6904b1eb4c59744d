import pytest

from catts.errors import ReportError
from catts.evals.pages.pictures import BUDGET, PictureFolder, share_of_budget
from catts.images import ImageStore, image_digest


def test_the_budget_is_shared():
    assert share_of_budget(0) == share_of_budget(10)
    assert share_of_budget(4000) * 4000 <= BUDGET
    assert share_of_budget(10**9) > 0


def test_a_folder_is_a_stores_or_any(tmp_path, picture):
    ImageStore(tmp_path / "store").put(picture)
    (tmp_path / "any").mkdir()
    picture.save(tmp_path / "any" / "photo.png")
    (tmp_path / "any" / "broken.png").write_text("no picture")
    digest = image_digest(picture)
    for name in ("store", "any"):
        folder = PictureFolder(tmp_path / name)
        found = folder.get(digest)
        assert found is not None
        assert image_digest(found) == digest
        assert folder.get("0" * 64) is None
        assert folder.get("../photo") is None


def test_no_such_folder(tmp_path):
    with pytest.raises(ReportError, match="--images"):
        PictureFolder(tmp_path / "none")
