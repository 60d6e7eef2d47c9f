// A GGUF file (version 3) of random weights: header, metadata, tensor table, data at multiples of 32 bytes (layout: the GGUF specification of ggml).
// What a block of weights holds does not matter for speed as long as the numbers stay finite, so blocks are made at once in their packed form.
using System.Text;

/// <summary>ggml's tensor types that the peer writes, by their numbers in the file.</summary>
enum GgmlType { F32 = 0, Q4_0 = 2, Q8_0 = 8, BF16 = 30 }

sealed class GgufFile(string architecture)
{
    private const int Alignment = 32;

    private readonly List<(string Key, object Value)> _metadata = [("general.architecture", architecture)];
    private readonly List<(string Name, GgmlType Type, long Columns, long Rows)> _tensors = [];

    public void Set(string key, object value) => _metadata.Add((key, value));

    /// <summary>A matrix [rows, columns], or a vector where there is one row.</summary>
    public void Add(string name, GgmlType type, long columns, long rows = 1) => _tensors.Add((name, type, columns, rows));

    public void Write(string path)
    {
        using var writer = new BinaryWriter(File.Create(path, 1 << 20));
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_metadata.Count);
        foreach ((string key, object value) in _metadata) WriteEntry(writer, key, value);
        long offset = 0;
        foreach ((string name, GgmlType type, long columns, long rows) in _tensors)
        {
            WriteText(writer, name);
            writer.Write(rows == 1 ? 1u : 2u);
            writer.Write((ulong)columns);
            if (rows > 1) writer.Write((ulong)rows);
            writer.Write((uint)type);
            writer.Write((ulong)offset);
            offset += Padded(rows * RowBytes(type, columns));
        }

        Pad(writer);
        var random = new Random(2026);
        foreach ((_, GgmlType type, long columns, long rows) in _tensors)
        {
            for (long row = 0; row < rows; row++) writer.Write(Row(random, type, (int)columns, rows == 1));
            Pad(writer);
        }
    }

    private static long RowBytes(GgmlType type, long columns) => type switch
    {
        GgmlType.F32 => columns * 4,
        GgmlType.BF16 => columns * 2,
        GgmlType.Q8_0 => columns / 32 * 34,
        GgmlType.Q4_0 => columns / 32 * 18,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    private static byte[] Row(Random random, GgmlType type, int columns, bool isGain)
    {
        byte[] row = new byte[RowBytes(type, columns)];
        float width = 1.7f / MathF.Sqrt(columns); // outputs keep the size of inputs
        if (type is GgmlType.Q8_0 or GgmlType.Q4_0)
        {
            random.NextBytes(row);
            int block = type == GgmlType.Q8_0 ? 34 : 18;
            byte[] scale = BitConverter.GetBytes((Half)(width / (type == GgmlType.Q8_0 ? 127 : 8)));
            for (int at = 0; at < row.Length; at += block) scale.CopyTo(row, at);
            return row;
        }

        for (int i = 0; i < columns; i++)
        {
            float value = isGain ? 1 : (2 * random.NextSingle() - 1) * width;
            if (type == GgmlType.F32) BitConverter.TryWriteBytes(row.AsSpan(4 * i), value);
            else BitConverter.TryWriteBytes(row.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        return row;
    }

    private static void WriteEntry(BinaryWriter writer, string key, object value)
    {
        WriteText(writer, key);
        switch (value)
        {
            case uint number:
                writer.Write(4u);
                writer.Write(number);
                break;
            case float number:
                writer.Write(6u);
                writer.Write(number);
                break;
            case string text:
                writer.Write(8u);
                WriteText(writer, text);
                break;
            default: throw new ArgumentException($"{key}: {value.GetType()}");
        }
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter writer) => writer.Write(new byte[Padded(writer.BaseStream.Position) - writer.BaseStream.Position]);
}
