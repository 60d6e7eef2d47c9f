using System.Numerics;

namespace GemmaCore.Testing.Medical;

/// <summary>
/// A plain encoder of lossless JPEG for what DCMTK does not write: restart intervals, a scan for each component, few bits. All codes have five bits. Its predictions are written from the standard's
/// table once more, sample by sample.
/// </summary>
public sealed record LosslessJpegWriter(int Width, int Height, int Components, int Bits, int Predictor = 1, int Shift = 0, int RestartRows = 0, bool IsInterleaved = true)
{
    private const int CodeBits = 5, Categories = 17;

    /// <summary>Packs samples, [Height, Width, Components].</summary>
    public byte[] Encode(int[] samples)
    {
        List<byte> stream = [0xFF, 0xD8];
        Segment(stream, 0xC4, [0, 0, 0, 0, 0, Categories, .. new byte[11], .. Enumerable.Range(0, Categories).Select(i => (byte)i)]);
        Segment(stream, 0xC3, [(byte)Bits, .. Two(Height), .. Two(Width), (byte)Components, .. Enumerable.Range(1, Components).SelectMany(i => (byte[])[(byte)i, 0x11, 0])]);
        if (RestartRows > 0) Segment(stream, 0xDD, Two(RestartRows * Width));
        int[][] scans = IsInterleaved ? [[.. Enumerable.Range(0, Components)]] : [.. Enumerable.Range(0, Components).Select(i => (int[])[i])];
        foreach (int[] scan in scans) Scan(stream, scan, samples);
        return [.. stream, 0xFF, 0xD9];
    }

    private static byte[] Two(int number) => [(byte)(number >> 8), (byte)number];

    private static void Segment(List<byte> stream, byte marker, byte[] content) => stream.AddRange([0xFF, marker, .. Two(content.Length + 2), .. content]);

    private void Scan(List<byte> stream, int[] components, int[] samples)
    {
        Segment(stream, 0xDA, [(byte)components.Length, .. components.SelectMany(i => (byte[])[(byte)(i + 1), 0]), (byte)Predictor, 0, (byte)Shift]);
        List<bool> bits = [];
        for (int row = 0; row < Height; row++)
        {
            if (RestartRows > 0 && row > 0 && row % RestartRows == 0)
            {
                Flush(stream, bits);
                stream.AddRange([0xFF, (byte)(0xD0 + (row / RestartRows - 1) % 8)]);
            }

            for (int x = 0; x < Width; x++)
                foreach (int component in components) Difference(bits, (short)(At(samples, x, row, component) - Prediction(samples, x, row, component)));
        }

        Flush(stream, bits);
    }

    private int At(int[] samples, int x, int y, int component) => samples[(y * Width + x) * Components + component] >> Shift;

    private int Prediction(int[] samples, int x, int y, int component)
    {
        bool begins = RestartRows > 0 ? y % RestartRows == 0 : y == 0;
        if (x == 0) return begins ? 1 << (Bits - Shift - 1) : At(samples, 0, y - 1, component);
        int left = At(samples, x - 1, y, component);
        if (begins) return left;
        int up = At(samples, x, y - 1, component), corner = At(samples, x - 1, y - 1, component);
        return Predictor switch { 1 => left, 2 => up, 3 => corner, 4 => left + up - corner, 5 => left + ((up - corner) >> 1), 6 => up + ((left - corner) >> 1), _ => (left + up) / 2 };
    }

    private static void Difference(List<bool> bits, short difference)
    {
        int size = difference == short.MinValue ? 16 : 32 - BitOperations.LeadingZeroCount((uint)Math.Abs(difference));
        Put(bits, size, CodeBits);
        if (size is > 0 and < 16) Put(bits, difference > 0 ? difference : difference + (1 << size) - 1, size);
    }

    private static void Put(List<bool> bits, int value, int count)
    {
        for (int bit = count - 1; bit >= 0; bit--) bits.Add((value >> bit & 1) == 1);
    }

    // The rest of the last byte is ones.
    private static void Flush(List<byte> stream, List<bool> bits)
    {
        while (bits.Count % 8 != 0) bits.Add(true);
        for (int i = 0; i < bits.Count; i += 8)
        {
            int value = 0;
            for (int bit = 0; bit < 8; bit++) value = value << 1 | (bits[i + bit] ? 1 : 0);
            stream.Add((byte)value);
            if (value == 0xFF) stream.Add(0);
        }

        bits.Clear();
    }
}
