using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace GemmaCore.Inputs;

/// <summary>Pillow's resampling filters, by the numbers that <c>preprocessor_config.json</c> uses.</summary>
public enum ResampleFilter
{
    /// <summary>Windowed sinc over six source pixels.</summary>
    Lanczos = 1,

    /// <summary>Triangle over two source pixels.</summary>
    Bilinear = 2,

    /// <summary>Keys cubic, a = -0.5, over four source pixels.</summary>
    Bicubic = 3,
}

/// <summary>
/// Resizing to the byte as Pillow does it (behaviour: libImaging/Resample.c): weights in double, normalised, rounded to 22-bit fixed
/// point; first along rows, rounded to bytes, then along columns; a pass that would change nothing is left out.
/// </summary>
/// <remarks>
/// Since Pillow 13 the columns come first where the height shrinks "significantly more" than the width (its pull request 9549). The golden
/// files show it for a height that shrinks while the width grows, and that is what is done here; where both shrink the order is that of
/// all earlier versions, which Pillow 13 may leave for very tall pictures (one grey level of difference at most).
/// </remarks>
public static class PillowResize
{
    private const int FractionBits = 22;
    private const int Half = 1 << (FractionBits - 1);

    /// <summary>A picture of the new size, aspect ratio not kept. The filter widens when shrinking (antialias).</summary>
    public static RgbImage Resize(RgbImage image, int width, int height, ResampleFilter filter)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        byte[] pixels = image.Pixels;
        bool rowsShrinkFirst = height < image.Height && width > image.Width;
        if (rowsShrinkFirst) pixels = ResizeColumns(pixels, image.Width, height, Taps.Compute(image.Height, height, filter));
        if (width != image.Width)
            pixels = ResizeRows(pixels, image.Width, rowsShrinkFirst ? height : image.Height, width, Taps.Compute(image.Width, width, filter));
        if (!rowsShrinkFirst && height != image.Height) pixels = ResizeColumns(pixels, width, height, Taps.Compute(image.Height, height, filter));
        return new RgbImage(width, height, pixels);
    }

    // One pixel is one vector of four int lanes (red, green, blue, unused); the source row is widened once.
    private static byte[] ResizeRows(byte[] pixels, int fromWidth, int rows, int toWidth, Taps taps)
    {
        var resized = new byte[rows * toWidth * 3];
        var wide = new Vector128<int>[fromWidth];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<byte> from = pixels.AsSpan(row * fromWidth * 3, fromWidth * 3);
            for (int column = 0; column < wide.Length; column++)
                wide[column] = Vector128.Create(from[3 * column], from[3 * column + 1], from[3 * column + 2], 0);
            Span<byte> to = resized.AsSpan(row * toWidth * 3, toWidth * 3);
            for (int column = 0; column < toWidth; column++)
            {
                ReadOnlySpan<int> weights = taps.WeightsOf(column);
                ReadOnlySpan<Vector128<int>> window = wide.AsSpan(taps.Starts[column], weights.Length);
                Vector128<int> sum = Vector128.Create(Half);
                for (int tap = 0; tap < weights.Length; tap++) sum += window[tap] * weights[tap];
                sum = Vector128.Clamp(sum >> FractionBits, Vector128<int>.Zero, Vector128.Create(255));
                to[3 * column] = (byte)sum[0];
                to[3 * column + 1] = (byte)sum[1];
                to[3 * column + 2] = (byte)sum[2];
            }
        }
        return resized;
    }

    // Whole rows are weighted and added: lanes run along the row, whatever the channel.
    private static byte[] ResizeColumns(byte[] pixels, int width, int toHeight, Taps taps)
    {
        int rowBytes = width * 3;
        var resized = new byte[toHeight * rowBytes];
        var sums = new int[rowBytes];
        for (int row = 0; row < toHeight; row++)
        {
            sums.AsSpan().Fill(Half);
            ReadOnlySpan<int> weights = taps.WeightsOf(row);
            for (int tap = 0; tap < weights.Length; tap++)
                AddScaled(sums, pixels.AsSpan((taps.Starts[row] + tap) * rowBytes, rowBytes), weights[tap]);
            Span<byte> to = resized.AsSpan(row * rowBytes, rowBytes);
            for (int i = 0; i < to.Length; i++) to[i] = (byte)Math.Clamp(sums[i] >> FractionBits, 0, 255);
        }
        return resized;
    }

    // sums[i] += bytes[i] * weight. A step takes one vector of bytes, widened to four vectors of ints; the rest is scalar.
    private static void AddScaled(Span<int> sums, ReadOnlySpan<byte> bytes, int weight)
    {
        int lanes = Vector<int>.Count, i = 0;
        Span<Vector<int>> sumVectors = MemoryMarshal.Cast<int, Vector<int>>(sums);
        foreach (Vector<byte> vector in MemoryMarshal.Cast<byte, Vector<byte>>(bytes))
        {
            Vector.Widen(vector, out Vector<ushort> low, out Vector<ushort> high);
            Vector.Widen(low, out Vector<uint> first, out Vector<uint> second);
            Vector.Widen(high, out Vector<uint> third, out Vector<uint> fourth);
            int at = i / lanes;
            sumVectors[at] += Vector.AsVectorInt32(first) * weight;
            sumVectors[at + 1] += Vector.AsVectorInt32(second) * weight;
            sumVectors[at + 2] += Vector.AsVectorInt32(third) * weight;
            sumVectors[at + 3] += Vector.AsVectorInt32(fourth) * weight;
            i += 4 * lanes;
        }
        for (; i < bytes.Length; i++) sums[i] += bytes[i] * weight;
    }

    /// <summary>For every output index: the first source index and the fixed-point weights from there on.</summary>
    private sealed class Taps(int[] starts, int[] counts, int[] weights, int stride)
    {
        public int[] Starts { get; } = starts;

        public ReadOnlySpan<int> WeightsOf(int index) => weights.AsSpan(index * stride, counts[index]);

        public static Taps Compute(int from, int to, ResampleFilter filter)
        {
            double scale = (double)from / to, filterScale = Math.Max(scale, 1);
            double support = filterScale * filter switch { ResampleFilter.Bilinear => 1, ResampleFilter.Bicubic => 2, _ => 3 };
            double inverseScale = 1 / filterScale;
            int stride = (int)Math.Ceiling(support) * 2 + 1;
            var starts = new int[to];
            var counts = new int[to];
            var weights = new int[to * stride];
            var exact = new double[stride];
            for (int index = 0; index < to; index++)
            {
                double center = (index + 0.5) * scale, sum = 0;
                int start = Math.Max(0, (int)(center - support + 0.5));
                int count = Math.Min(from, (int)(center + support + 0.5)) - start;
                for (int tap = 0; tap < count; tap++)
                {
                    exact[tap] = Weight(filter, (tap + start - center + 0.5) * inverseScale);
                    sum += exact[tap];
                }
                for (int tap = 0; tap < count; tap++)
                {
                    double share = sum != 0 ? exact[tap] / sum : exact[tap];
                    weights[index * stride + tap] = (int)(share * (1 << FractionBits) + (share < 0 ? -0.5 : 0.5));
                }
                (starts[index], counts[index]) = (start, count);
            }
            return new Taps(starts, counts, weights, stride);
        }

        private static double Weight(ResampleFilter filter, double x)
        {
            x = Math.Abs(x);
            return filter switch
            {
                ResampleFilter.Bilinear => x < 1 ? 1 - x : 0,
                ResampleFilter.Bicubic => x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0,
                _ => x < 3 ? Sinc(x) * Sinc(x / 3) : 0,
            };
        }

        private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(x * Math.PI) / (x * Math.PI);
    }
}
