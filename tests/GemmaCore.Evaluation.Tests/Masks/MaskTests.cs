using CsCheck;
using GemmaCore.Evaluation.Masks;

namespace GemmaCore.Evaluation.Tests.Masks;

public sealed class MaskTests
{
    [Fact]
    public void Overlaps_by_hand_and_where_masks_are_empty()
    {
        Mask a = Of("110", "100"), b = Of("100", "110"), none = Of("000", "000");
        Assert.Equal((2.0 * 2 / 6, 2.0 / 4), (MaskOverlap.Of(a, b).Dice, MaskOverlap.Of(a, b).Iou));
        Assert.Equal((1, 1), (MaskOverlap.Of(none, none).Dice, MaskOverlap.Of(none, none).Iou));
        Assert.Equal((0, 0), (MaskOverlap.Of(a, none).Dice, MaskOverlap.Of(none, a).Iou));
        // The cumulative IoU is that of all pixels, not the mean.
        MaskOverlap sum = MaskOverlap.Of(a, b) + MaskOverlap.Of(none, none) + MaskOverlap.Of(a, none);
        Assert.Equal(2.0 / 7, sum.Iou, 1e-12);
    }

    [Fact]
    public void Structures_are_scored_one_by_one_without_the_background()
    {
        IReadOnlyDictionary<byte, MaskOverlap> overlaps = MaskOverlap.OfClasses(Of("120", "123"), Of("120", "023"));
        Assert.Equal([1, 2, 3], overlaps.Keys.Select(key => (int)key));
        Assert.Equal((0.5, 1, 1), (overlaps[1].Iou, overlaps[2].Iou, overlaps[3].Iou));
    }

    [Fact]
    public void Another_size_is_an_error_that_tells_both() =>
        Assert.Equal("the predicted mask is 3 x 1 pixels, the reference 2 x 1", Assert.Throws<EvaluationException>(() => MaskOverlap.Of(Of("111"), Of("11"))).Message);

    [Fact]
    public void A_map_of_scores_is_cut_at_its_threshold()
    {
        Assert.Equal([0, 1, 1], Mask.FromScores(3, 1, [0.49f, 0.5f, 1]).Values.ToArray());
        Assert.Equal([0, 0, 1], Mask.FromScores(3, 1, [0.49f, 0.5f, 1], 0.7f).Values.ToArray());
        Assert.Throws<ArgumentException>(() => Mask.FromScores(2, 1, [1, 1, 1]));
    }

    [Fact]
    public void Overlaps_keep_within_their_bounds_on_both_sides_and_in_any_order() => Gen.Select(Gen.Byte[0, 1].Array[12], Gen.Byte[0, 1].Array[12]).Array[1, 6].Sample(pairs =>
    {
        MaskOverlap[] overlaps = [.. pairs.Select(pair => MaskOverlap.Of(new Mask(4, 3, pair.Item1), new Mask(4, 3, pair.Item2)))];
        foreach ((MaskOverlap overlap, (byte[] a, byte[] b)) in overlaps.Zip(pairs))
        {
            Assert.InRange(overlap.Iou, 0, overlap.Dice);
            Assert.InRange(overlap.Dice, 0, 1);
            Assert.Equal(overlap.Dice, 2 * overlap.Iou / (1 + overlap.Iou), 1e-12);
            MaskOverlap other = MaskOverlap.Of(new Mask(4, 3, b), new Mask(4, 3, a));
            Assert.Equal((overlap.Dice, overlap.Iou), (other.Dice, other.Iou));
            Assert.Equal((1, 1), (MaskOverlap.Of(new Mask(4, 3, a), new Mask(4, 3, a)).Dice, MaskOverlap.Of(new Mask(4, 3, b), new Mask(4, 3, b)).Iou));
            if (a.Contains((byte)1)) Assert.Equal(0, MaskOverlap.Of(new Mask(4, 3, new byte[12]), new Mask(4, 3, a)).Iou);
        }

        Assert.Equal(overlaps.Aggregate(MaskOverlap.Add), overlaps.Reverse().Aggregate(MaskOverlap.Add));
    });

    [Fact]
    public void Polygons_are_filled_where_pixel_centres_are_inside()
    {
        Assert.Equal("000 010 000".Replace(" ", "", StringComparison.Ordinal), Text(Mask.FromPolygon(3, 3, [[(1, 1), (2, 1), (2, 2), (1, 2)]])));
        // A hole, and corners outside the picture.
        Mask ring = Mask.FromPolygon(5, 5, [[(-3, -3), (9, -3), (9, 9), (-3, 9)], [(1, 1), (4, 1), (4, 4), (1, 4)]]);
        Assert.Equal("1111110001100011000111111", Text(ring));
        Assert.Equal(new string('0', 9), Text(Mask.FromPolygon(3, 3, [[(1, 1), (2, 2)], []])));
    }

    [Fact]
    public void Polygons_are_those_of_the_even_odd_rule_at_every_centre()
    {
        var random = new Random(9);
        for (int round = 0; round < 300; round++)
        {
            (double X, double Y)[][] rings = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Enumerable.Range(0, random.Next(3, 9)).Select(_ => ((random.NextDouble() * 14) - 3, (random.NextDouble() * 14) - 3)).ToArray())];
            Mask mask = Mask.FromPolygon(8, 9, rings);
            for (int row = 0; row < 9; row++)
                for (int column = 0; column < 8; column++)
                    Assert.Equal(IsInside(rings, column + 0.5, row + 0.5), mask.Values[(row * 8) + column] == 1);
        }
    }

    // A ray to the left, edge by edge.
    private static bool IsInside((double X, double Y)[][] rings, double x, double y)
    {
        bool inside = false;
        foreach ((double X, double Y)[] ring in rings)
            for (int i = 0, j = ring.Length - 1; i < ring.Length; j = i++)
                if (ring[i].Y > y != ring[j].Y > y && x >= ((ring[j].X - ring[i].X) * (y - ring[i].Y) / (ring[j].Y - ring[i].Y)) + ring[i].X) inside = !inside;
        return inside;
    }

    private static Mask Of(params string[] rows) => new(rows[0].Length, rows.Length, [.. rows.SelectMany(row => row).Select(c => (byte)(c - '0'))]);

    private static string Text(Mask mask) => string.Concat(mask.Values.ToArray());
}
