using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace GemmaCore.Training.RunFiles;

/// <summary>
/// An event file that TensorBoard reads: records framed as TFRecord (length, its masked CRC-32C, payload, its masked CRC-32C), each payload a protobuf
/// <c>Event</c> of wall time (1), step (2), file version (3) or summary (5) with one tag (1) and one float (2).
/// </summary>
public sealed class TensorBoardEvents : IDisposable
{
    private readonly FileStream _file;

    /// <summary>Starts a new file <c>runs/&lt;start&gt;/events.out.tfevents.&lt;seconds&gt;.gemmacore</c> below a run's folder.</summary>
    /// <param name="runFolder">The run's output folder.</param>
    /// <param name="start">Time that names folder and file; a resumed run gets files of its own, which TensorBoard joins.</param>
    /// <exception cref="IOException">The file cannot be created.</exception>
    public TensorBoardEvents(string runFolder, DateTimeOffset start)
    {
        string folder = System.IO.Path.Combine(runFolder, "runs", start.ToString("yyyy-MM-dd_HH-mm-ss", CultureInfo.InvariantCulture));
        Directory.CreateDirectory(folder);
        Path = System.IO.Path.Combine(folder, FormattableString.Invariant($"events.out.tfevents.{start.ToUnixTimeSeconds()}.gemmacore"));
        _file = new FileStream(Path, FileMode.Append, FileAccess.Write, FileShare.Read);
        Write(Event(start, 0, payload => Bytes(payload, 3, "brain.Event:2"u8)));
    }

    /// <summary>The event file.</summary>
    public string Path { get; }

    /// <summary>Writes a logged line under Hugging Face's tags: <c>train/loss</c>, <c>train/grad_norm</c>, <c>train/learning_rate</c>, <c>train/epoch</c>, <c>eval/loss</c>.</summary>
    public void Write(LogEntry entry, DateTimeOffset time)
    {
        ArgumentNullException.ThrowIfNull(entry);
        Scalar("train/loss", entry.Loss, entry.Step, time);
        Scalar("train/grad_norm", entry.GradNorm, entry.Step, time);
        Scalar("train/learning_rate", entry.LearningRate, entry.Step, time);
        Scalar("train/epoch", entry.Epoch, entry.Step, time);
        Scalar("eval/loss", entry.EvalLoss, entry.Step, time);
        _file.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Scalar(string tag, double? value, int step, DateTimeOffset time)
    {
        if (value is not { } number) return;
        Write(Event(time, step, payload =>
        {
            var scalar = new List<byte>();
            Bytes(scalar, 1, Encoding.UTF8.GetBytes(tag));
            scalar.Add(2 << 3 | 5); // simple_value, four bytes
            scalar.AddRange(BitConverter.GetBytes((float)number));
            var summary = new List<byte>();
            Bytes(summary, 1, [.. scalar]);
            Bytes(payload, 5, [.. summary]);
        }));
    }

    private static byte[] Event(DateTimeOffset time, long step, Action<List<byte>> write)
    {
        var payload = new List<byte> { 1 << 3 | 1 }; // wall_time in seconds, eight bytes
        payload.AddRange(BitConverter.GetBytes(time.ToUnixTimeMilliseconds() / 1000.0));
        payload.Add(2 << 3 | 0); // step, varint
        Varint(payload, (ulong)step);
        write(payload);
        return [.. payload];
    }

    private void Write(byte[] payload)
    {
        var frame = new byte[16 + payload.Length];
        BinaryPrimitives.WriteInt64LittleEndian(frame, payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(8), Crc32C.Masked(frame.AsSpan(0, 8)));
        payload.CopyTo(frame.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12 + payload.Length), Crc32C.Masked(payload));
        _file.Write(frame);
    }

    private static void Bytes(List<byte> payload, int field, ReadOnlySpan<byte> value)
    {
        payload.Add((byte)(field << 3 | 2));
        Varint(payload, (ulong)value.Length);
        payload.AddRange(value);
    }

    private static void Varint(List<byte> payload, ulong value)
    {
        for (; value >= 0x80; value >>= 7) payload.Add((byte)(value | 0x80));
        payload.Add((byte)value);
    }
}
