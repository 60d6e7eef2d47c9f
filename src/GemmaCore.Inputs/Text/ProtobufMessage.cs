using System.Buffers.Binary;
using System.Collections;
using System.Text;

namespace GemmaCore.Inputs;

/// <summary>One field of a protobuf message: a number, and either a value (varint, fixed) or bytes.</summary>
internal readonly record struct ProtobufField(int Number, ulong Value, ReadOnlyMemory<byte> Bytes)
{
    public ProtobufMessage Message(string file) => new(Bytes, file);

    public string Text(string file) => System.Text.Unicode.Utf8.IsValid(Bytes.Span)
        ? Encoding.UTF8.GetString(Bytes.Span)
        : throw new InputException($"{file}: a token is not valid UTF-8; the file is damaged");
}

/// <summary>The fields of a protobuf message in file order (wire format: protobuf.dev, "Encoding").</summary>
internal readonly struct ProtobufMessage(ReadOnlyMemory<byte> bytes, string file) : IEnumerable<ProtobufField>
{
    private readonly ReadOnlyMemory<byte> _bytes = bytes;

    public string File { get; } = file;

    public IEnumerator<ProtobufField> GetEnumerator()
    {
        int at = 0;
        while (at < _bytes.Length)
        {
            ulong key = ReadVarint(ref at);
            int number = (int)(key >> 3);
            switch (key & 7)
            {
                case 0: yield return new ProtobufField(number, ReadVarint(ref at), default); break;
                case 1: yield return new ProtobufField(number, BinaryPrimitives.ReadUInt64LittleEndian(Take(ref at, 8).Span), default); break;
                case 2: yield return new ProtobufField(number, 0, Take(ref at, ReadVarint(ref at))); break;
                case 5: yield return new ProtobufField(number, BinaryPrimitives.ReadUInt32LittleEndian(Take(ref at, 4).Span), default); break;
                default: throw Damaged();
            }
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private ReadOnlyMemory<byte> Take(ref int at, ulong count)
    {
        if (count > (ulong)(_bytes.Length - at)) throw Damaged();
        ReadOnlyMemory<byte> taken = _bytes.Slice(at, (int)count);
        at += (int)count;
        return taken;
    }

    private ulong ReadVarint(ref int at)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Take(ref at, 1).Span[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw Damaged();
    }

    private InputException Damaged() => new($"{File}: not a SentencePiece model, or one that was cut off");
}
