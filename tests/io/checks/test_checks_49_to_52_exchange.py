def test_full_precision_positions_keep_the_far_corner(tmp_path: Path) -> None:
    step = 0.33333333333333
    write_series(tmp_path, axial(*(n * step for n in range(9))))
    geometry = read_volume(tmp_path).geometry
    np.testing.assert_allclose(geometry.index_to_lps((8, 0, 0)), (-10, -20, 8 * step), atol=1e-9)


def test_check_49_same_shape_elsewhere_is_not_the_same_grid() -> None:
    one = Geometry.from_spacing((4, 5, 6))
    shifted = one.affine_kji_to_lps.copy()
    shifted[2, 3] = 0.01
    with pytest.raises(GeometryMismatch, match="elsewhere"):
        require_same_grid(Geometry((4, 5, 6), shifted), one)
    with pytest.raises(GeometryMismatch, match="grid"):
        require_same_grid(Geometry.from_spacing((4, 5, 7)), one)
    shifted[2, 3] = 0.0009
    require_same_grid(Geometry((4, 5, 6), shifted), one)
