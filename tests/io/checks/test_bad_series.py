def test_bad_series_mixed_orientation_is_split(tmp_path: Path) -> None:
    def turn(dataset: FileDataset, n: int) -> None:
        if n >= 3:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            dataset.ImagePositionPatient = [0, 5.0 * n, 0]

    write_series(tmp_path, axial(0, 5, 10, 0, 0, 0), turn)
    found = scan(tmp_path)
    assert [entry.shape_kji for entry in found.series] == [(3, 5, 6)] * 2
    assert len({entry.uid for entry in found.series}) == 2
    with pytest.raises(UsageError) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "several_series"


def test_bad_series_slices_without_a_position_are_a_stack_without_mm(tmp_path: Path) -> None:
    def unplace(dataset: FileDataset, n: int) -> None:
        del dataset.ImagePositionPatient

    pixels = write_series(tmp_path, axial(0, 5, 10), unplace)
    found = scan(tmp_path)
    assert refusals_of(found) == ["no_position"]
    assert found.series[0].kind is SeriesKind.STACK
    volume = read_volume(tmp_path, as_stack=True)
    np.testing.assert_array_equal(volume.array, pixels)
    assert not volume.geometry.spacing_known
