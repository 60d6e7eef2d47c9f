using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>
/// Puts low and high frequencies together again (T.800, annex F), level by level, in place. Eight rows, then eight columns at a time stand side by side in a buffer, a row or column a lane,
/// with a few samples mirrored at either end.
/// </summary>
internal sealed class Wavelet
{
    private const int Lanes = 8, Margin = 4;

    // T.800, table F.4.
    private const float Alpha = -1.586134342059924f, Beta = -0.052980118572961f, Gamma = 0.882911075530934f, Delta = 0.443506852043971f, K = 1.230174104914001f;

    private int[] _buffer = [];

    /// <summary>Whole numbers in the bits of the floats, 5/3 (F.3.8.2.1); without loss.</summary>
    public void Reversible(float[] plane, int stride, ReadOnlySpan<Resolution> resolutions) => Run(MemoryMarshal.Cast<float, int>(plane.AsSpan()), stride, resolutions, isReversible: true);

    /// <summary>9/7 (F.3.8.1.1).</summary>
    public void Irreversible(float[] plane, int stride, ReadOnlySpan<Resolution> resolutions) => Run(MemoryMarshal.Cast<float, int>(plane.AsSpan()), stride, resolutions, isReversible: false);

    private void Run(Span<int> plane, int stride, ReadOnlySpan<Resolution> resolutions, bool isReversible)
    {
        for (int r = 1; r < resolutions.Length; r++)
        {
            GridArea area = resolutions[r].Area;
            if (area.IsEmpty) continue;
            for (int row = 0; row < area.Height; row += Lanes) Synthesise(plane, row * stride, 1, stride, Math.Min(Lanes, area.Height - row), area.Left & 1, area.Width, isReversible);
            for (int column = 0; column < area.Width; column += Lanes) Synthesise(plane, column, stride, 1, Math.Min(Lanes, area.Width - column), area.Top & 1, area.Height, isReversible);
        }
    }

    // Lines begin at plane[start + lane * across], low frequencies first, and go on every so many; an odd parity begins with a high one.
    private void Synthesise(Span<int> plane, int start, int along, int across, int lanes, int parity, int length, bool isReversible)
    {
        if (length == 1)
        {
            // F.3.6: a high frequency alone is twice the sample.
            for (int lane = 0; lane < lanes && parity == 1; lane++)
            {
                ref int only = ref plane[start + lane * across];
                only = isReversible ? only / 2 : BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(only) / 2);
            }

            return;
        }

        if (_buffer.Length < (length + 2 * Margin) * Lanes) _buffer = new int[(length + 2 * Margin) * Lanes];
        Span<int> buffer = _buffer.AsSpan(0, (length + 2 * Margin) * Lanes);
        int lows = (length + 1 - parity) / 2, highs = length - lows;
        // Low frequencies go to the even columns of the grid, high ones to the odd.
        Load(plane[start..], along, across, lanes, lows, buffer[((Margin + parity) * Lanes)..]);
        Load(plane[(start + lows * along)..], along, across, lanes, highs, buffer[((Margin + 1 - parity) * Lanes)..]);
        for (int i = 1; i <= Margin; i++)
        {
            buffer.Slice((Margin + Mirrored(-i, length)) * Lanes, Lanes).CopyTo(buffer[((Margin - i) * Lanes)..]);
            buffer.Slice((Margin + Mirrored(length - 1 + i, length)) * Lanes, Lanes).CopyTo(buffer[((Margin + length - 1 + i) * Lanes)..]);
        }

        if (isReversible) LiftWhole(buffer, parity, length);
        else Lift(MemoryMarshal.Cast<int, float>(buffer), parity, length);
        Store(buffer[(Margin * Lanes)..], plane[start..], along, across, lanes, length);
    }

    // Every second place of the buffer.
    private static void Load(ReadOnlySpan<int> from, int along, int across, int lanes, int count, Span<int> buffer)
    {
        if (across != 1)
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                ReadOnlySpan<int> line = from.Slice(lane * across, count);
                for (int i = 0; i < line.Length; i++) buffer[2 * Lanes * i + lane] = line[i];
            }

            return;
        }

        for (int i = 0; i < count; i++)
        {
            if (lanes == Lanes) Vector256.Create(from.Slice(i * along, Lanes)).CopyTo(buffer[(2 * Lanes * i)..]);
            else from.Slice(i * along, lanes).CopyTo(buffer[(2 * Lanes * i)..]);
        }
    }

    private static void Store(ReadOnlySpan<int> buffer, Span<int> to, int along, int across, int lanes, int count)
    {
        if (across != 1)
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                Span<int> line = to.Slice(lane * across, count);
                for (int i = 0; i < line.Length; i++) line[i] = buffer[Lanes * i + lane];
            }

            return;
        }

        for (int i = 0; i < count; i++)
        {
            if (lanes == Lanes) Vector256.Create(buffer.Slice(Lanes * i, Lanes)).CopyTo(to[(i * along)..]);
            else buffer.Slice(Lanes * i, lanes).CopyTo(to[(i * along)..]);
        }
    }

    private static int Mirrored(int index, int length)
    {
        int period = 2 * (length - 1);
        index = Math.Abs(index) % period;
        return Math.Min(index, period - index);
    }

    private static void LiftWhole(Span<int> buffer, int parity, int length)
    {
        for (int i = First(-1, parity, isOdd: false); i <= length; i += 2)
        {
            Vector256<int> both = At(buffer, i - 1) + At(buffer, i + 1) + Vector256.Create(2);
            (At(buffer, i) - (both >> 2)).StoreUnsafe(ref buffer[(Margin + i) * Lanes]);
        }

        for (int i = First(0, parity, isOdd: true); i < length; i += 2)
            (At(buffer, i) + ((At(buffer, i - 1) + At(buffer, i + 1)) >> 1)).StoreUnsafe(ref buffer[(Margin + i) * Lanes]);
    }

    private static void Lift(Span<float> buffer, int parity, int length)
    {
        for (int i = -Margin; i < length + Margin; i++)
            (At(buffer, i) * ((i + parity) % 2 == 0 ? K : 1 / K)).StoreUnsafe(ref buffer[(Margin + i) * Lanes]);
        Step(buffer, First(-3, parity, isOdd: false), length + 3, Delta);
        Step(buffer, First(-2, parity, isOdd: true), length + 2, Gamma);
        Step(buffer, First(-1, parity, isOdd: false), length + 1, Beta);
        Step(buffer, First(0, parity, isOdd: true), length, Alpha);
    }

    private static void Step(Span<float> buffer, int first, int end, float factor)
    {
        for (int i = first; i < end; i += 2)
            (At(buffer, i) - (At(buffer, i - 1) + At(buffer, i + 1)) * factor).StoreUnsafe(ref buffer[(Margin + i) * Lanes]);
    }

    // The first place from one on where the reference grid has an even or an odd column.
    private static int First(int from, int parity, bool isOdd) => ((from + parity) & 1) == (isOdd ? 1 : 0) ? from : from + 1;

    private static Vector256<int> At(Span<int> buffer, int place) => Vector256.LoadUnsafe(ref buffer[(Margin + place) * Lanes]);

    private static Vector256<float> At(Span<float> buffer, int place) => Vector256.LoadUnsafe(ref buffer[(Margin + place) * Lanes]);
}
