using CsCheck;

namespace GemmaCore.Evaluation.Tests;

public class MaskTests
{
    private static readonly Gen<Mask> AnyMask = Gen.Byte[0, 2].Array[36].Select(classes => new Mask(6, 6, classes));

    private static Mask Of(params string[] rows) => new(rows[0].Length, rows.Length, [.. string.Concat(rows).Select(c => (byte)(c == '.' ? 0 : c - '0'))]);

    private static string Show(Mask mask) => string.Join('|', mask.Classes.Chunk(mask.Width).Select(row => string.Concat(row.Select(c => c == 0 ? '.' : (char)('0' + c)))));

    [Fact]
    public void Two_masks_by_hand()
    {
        MaskOverlap overlap = MaskOverlap.Of(Of("11..", "11.."), Of(".11.", ".11."));
        Assert.Equal((0.5, 2 / 6.0), (overlap.Dice, overlap.Iou));
    }

    [Fact]
    public void Both_empty_is_1_and_one_empty_is_0()
    {
        Mask empty = Of("..", ".."), some = Of("1.", "..");
        Assert.Equal((1.0, 1.0), (MaskOverlap.Of(empty, empty).Dice, MaskOverlap.Of(empty, empty).Iou));
        Assert.Equal((0.0, 0.0), (MaskOverlap.Of(some, empty).Dice, MaskOverlap.Of(empty, some).Iou));
    }

    [Fact]
    public void Pictures_are_averaged_and_pixels_are_summed()
    {
        MaskScore score = MaskScore.Of(1, [new MaskOverlap(1, 1, 1), new MaskOverlap(0, 100, 100)]);
        Assert.Equal((0.5, 0.5, 2.0 / 202, 1.0 / 201), (score.MeanDice, score.MeanIou, score.CumulativeDice, score.CumulativeIou));
    }

    [Fact]
    public void Overlap_is_symmetric_bounded_and_perfect_for_itself() => Gen.Select(AnyMask, AnyMask).Sample((a, b) =>
    {
        MaskOverlap one = MaskOverlap.Of(a, b, 2), other = MaskOverlap.Of(b, a, 2);
        return one.Dice == other.Dice && one.Iou == other.Iou && one.Dice is >= 0 and <= 1 && one.Iou <= one.Dice && MaskOverlap.Of(a, a).Iou == 1
            && Math.Abs(one.Dice - 2 * one.Iou / (1 + one.Iou)) < 1e-12;
    });

    [Fact]
    public void Masks_of_other_sizes_are_refused_with_both_sizes() => Assert.Contains(
        "2 x 2 pixels, the prediction 3 x 1", Assert.Throws<EvaluationException>(() => MaskOverlap.Of(Of("..", ".."), Of("..."))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_threshold_includes_its_value() => Assert.Equal("..1|11.", Show(Mask.Threshold(3, 2, [0, 127, 128, 200, 255, 0], 0.5)));

    [Fact]
    public void A_square_takes_the_pixels_whose_centres_are_inside() =>
        Assert.Equal("....|.11.|.11.|....", Show(Mask.Fill(4, 4, [[(0.6, 0.6), (2.9, 0.6), (2.9, 2.9), (0.6, 2.9)]])));

    [Fact]
    public void A_second_outline_cuts_a_hole() =>
        Assert.Equal("1111|1..1|1..1|1111", Show(Mask.Fill(4, 4, [[(0, 0), (4, 0), (4, 4), (0, 4)], [(1, 1), (3, 1), (3, 3), (1, 3)]])));

    // By definition: count the edges to the left of each centre.
    [Fact]
    public void Filling_agrees_with_counting_edges_pixel_by_pixel()
    {
        Gen<(double, double)[]> polygon = Gen.Select(Gen.Double[-2, 10], Gen.Double[-2, 10]).Array[3, 8];
        polygon.Sample(
            corners =>
            {
                Mask mask = Mask.Fill(8, 8, [corners]);
                for (int i = 0; i < 64; i++)
                {
                    (double x, double y) = (i % 8 + 0.5, i / 8 + 0.5);
                    int left = 0;
                    for (int c = 0; c < corners.Length; c++)
                    {
                        ((double x1, double y1), (double x2, double y2)) = (corners[c], corners[(c + 1) % corners.Length]);
                        if (Math.Min(y1, y2) <= y && y < Math.Max(y1, y2) && x1 + (x2 - x1) * (y - y1) / (y2 - y1) <= x) left++;
                    }

                    Assert.Equal(left % 2, mask.Classes[i]);
                }
            },
            iter: 2000);
    }
}
