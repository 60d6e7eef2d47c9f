using System.Buffers.Binary;
using System.Text;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests.RunFiles;

public sealed class TensorBoardEventsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-events-").FullName;

    // RFC 3720, appendix B.4, and the usual check value of "123456789".
    [Fact]
    public void Crc32c_has_the_published_values()
    {
        Assert.Equal(0xE3069283u, Crc32C.Of("123456789"u8));
        Assert.Equal(0x8A9136AAu, Crc32C.Of(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Of(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Of([.. Enumerable.Range(0, 32).Select(value => (byte)value)]));
        Assert.Equal(0u, Crc32C.Of([]));
    }

    [Fact]
    public void Masking_rotates_and_adds()
    {
        uint crc = Crc32C.Of("123456789"u8);
        Assert.Equal(unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8u), Crc32C.Masked("123456789"u8));
    }

    [Fact]
    public void What_was_written_is_read_back_with_huggingfaces_tags()
    {
        var start = new DateTimeOffset(2026, 11, 24, 4, 0, 0, TimeSpan.Zero);
        string path;
        using (var events = new TensorBoardEvents(_folder, start))
        {
            path = events.Path;
            events.Write(new LogEntry(20, 0.5, 1.25, 0.75, 2e-4, null), start.AddSeconds(1.5));
            events.Write(new LogEntry(300, 1, null, null, null, 0.5), start.AddSeconds(2));
        }

        Assert.Equal($"events.out.tfevents.{start.ToUnixTimeSeconds()}.gemmacore", Path.GetFileName(path));
        Assert.Equal(Path.Combine(_folder, "runs"), Path.GetDirectoryName(Path.GetDirectoryName(path)));
        List<Event> read = [.. Read(File.ReadAllBytes(path))];
        Assert.Equal(new Event(start.ToUnixTimeSeconds(), 0, "brain.Event:2", null, null), read[0]);
        Assert.Equal(
            [("train/loss", 1.25f, 20L), ("train/grad_norm", 0.75f, 20L), ("train/learning_rate", 2e-4f, 20L), ("train/epoch", 0.5f, 20L), ("train/epoch", 1f, 300L), ("eval/loss", 0.5f, 300L)],
            read.Skip(1).Select(item => (item.Tag!, item.Value!.Value, item.Step)));
        Assert.Equal(start.ToUnixTimeSeconds() + 1.5, read[1].WallTime);
    }

    [Fact]
    public void Two_runs_in_one_second_share_a_file_that_stays_readable()
    {
        for (int run = 0; run < 2; run++)
        {
            using var events = new TensorBoardEvents(_folder, DateTimeOffset.UnixEpoch);
            events.Write(new LogEntry(run, 0, run, null, null, null), DateTimeOffset.UnixEpoch);
        }

        string file = Assert.Single(Directory.GetFiles(_folder, "*", SearchOption.AllDirectories));
        Assert.Equal([0, 1], Read(File.ReadAllBytes(file)).Where(item => item.Tag == "train/loss").Select(item => (int)item.Value!.Value));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private sealed record Event(double WallTime, long Step, string? Version, string? Tag, float? Value);

    private static IEnumerable<Event> Read(byte[] file)
    {
        for (int at = 0; at < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(at));
            Assert.Equal(Crc32C.Masked(file.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            byte[] payload = file[(at + 12)..(at + 12 + length)];
            Assert.Equal(Crc32C.Masked(payload), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            at += 16 + length;
            var fields = Fields(payload);
            byte[]? scalar = fields.TryGetValue(5, out byte[]? summary) ? Fields(summary)[1] : null;
            yield return new Event(
                BitConverter.ToDouble(fields[1]),
                BitConverter.ToInt64(fields[2]),
                fields.TryGetValue(3, out byte[]? version) ? Encoding.UTF8.GetString(version) : null,
                scalar is null ? null : Encoding.UTF8.GetString(Fields(scalar)[1]),
                scalar is null ? null : BitConverter.ToSingle(Fields(scalar)[2]));
        }
    }

    // A plain protobuf reader: field number → bytes, varints widened to eight bytes.
    private static Dictionary<int, byte[]> Fields(byte[] message)
    {
        var fields = new Dictionary<int, byte[]>();
        int at = 0;
        ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte next = message[at++];
                value |= (ulong)(next & 0x7F) << shift;
                if (next < 0x80) return value;
            }
        }

        while (at < message.Length)
        {
            ulong key = Varint();
            (int field, int wire) = ((int)(key >> 3), (int)(key & 7));
            if (wire == 0)
            {
                fields[field] = BitConverter.GetBytes(Varint());
                continue;
            }

            int length = wire switch { 1 => 8, 5 => 4, _ => (int)Varint() };
            fields[field] = message[at..(at + length)];
            at += length;
        }

        return fields;
    }
}
