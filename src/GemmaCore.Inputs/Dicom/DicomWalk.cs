using System.Buffers.Binary;

namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// Reads the heads of data elements one after another, little endian. Values are left where they are; sequences of undefined length are walked through to find their end,
/// at most <see cref="DeepestNesting"/> deep.
/// </summary>
/// <param name="file">The whole file.</param>
/// <param name="name">Its name, for complaints.</param>
internal readonly ref struct DicomWalk(ReadOnlySpan<byte> file, string name)
{
    /// <summary>Sequences within sequences; real files have fewer than ten.</summary>
    public const int DeepestNesting = 32;

    private const uint Undefined = uint.MaxValue;

    private readonly ReadOnlySpan<byte> _file = file;

    /// <summary>The element that begins at a place.</summary>
    /// <param name="at">Its first byte.</param>
    /// <param name="end">First byte that no longer belongs to what it lies in.</param>
    /// <param name="isImplicit">Value representations are left out.</param>
    /// <param name="depth">Sequences around it.</param>
    /// <exception cref="InputException">It is cut off or makes no sense.</exception>
    public DicomElement Read(int at, int end, bool isImplicit, int depth = 0)
    {
        uint tag = TagAt(at, end);
        int start = at + 8;
        ushort vr = 0;
        uint length;
        if (isImplicit || tag >> 16 == 0xFFFE)
        {
            length = BinaryPrimitives.ReadUInt32LittleEndian(_file[(at + 4)..]);
        }
        else
        {
            vr = BinaryPrimitives.ReadUInt16BigEndian(_file[(at + 4)..]);
            if (!DicomElement.IsKnown(vr)) throw Damaged($"{DicomTag.Spell(tag)} has no value representation that the standard knows");
            if (!DicomElement.HasLongLength(vr))
            {
                length = BinaryPrimitives.ReadUInt16LittleEndian(_file[(at + 6)..]);
            }
            else
            {
                if (end - at < 12) throw Damaged($"it ends within {DicomTag.Spell(tag)}");
                length = BinaryPrimitives.ReadUInt32LittleEndian(_file[(at + 8)..]);
                start = at + 12;
            }
        }

        // What is of undefined length and unknown is a sequence without value representations (PS3.5, 6.2.2).
        bool insideImplicit = isImplicit || vr == DicomElement.Unknown;
        if (length == Undefined)
        {
            int close = tag == DicomTag.PixelData ? EndOfFragments(start, end) : EndOfSequence(start, end, insideImplicit, depth + 1, tag);
            return new DicomElement(tag, vr, at, start, close - start, close + 8, insideImplicit, IsOpen: true);
        }

        if (length > (uint)(end - start)) throw Damaged($"{DicomTag.Spell(tag)} should have {length} bytes, and {end - start} are left");
        return new DicomElement(tag, vr, at, start, (int)length, start + (int)length, insideImplicit, IsOpen: false);
    }

    /// <summary>The next item of a sequence, or null at its end.</summary>
    /// <param name="at">Where it should begin; moved behind it.</param>
    /// <param name="end">End of the sequence's value.</param>
    /// <param name="isImplicit">Value representations are left out.</param>
    /// <param name="depth">Sequences around it, this one included.</param>
    public DicomElement? NextItem(ref int at, int end, bool isImplicit, int depth)
    {
        if (at >= end) return null;
        uint tag = TagAt(at, end);
        if (tag == DicomTag.SequenceEnd) return null;
        if (tag != DicomTag.Item) throw Damaged($"{DicomTag.Spell(tag)} stands where an item of a sequence was expected");
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_file[(at + 4)..]);
        int begin = at, start = at + 8;
        if (length == Undefined)
        {
            int close = EndOfItem(start, end, isImplicit, depth);
            at = close + 8;
            return new DicomElement(tag, 0, begin, start, close - start, at, isImplicit, IsOpen: true);
        }

        if (length > (uint)(end - start)) throw Damaged($"an item should have {length} bytes, and {end - start} are left");
        at = start + (int)length;
        return new DicomElement(tag, 0, begin, start, (int)length, at, isImplicit, IsOpen: false);
    }

    public InputException Damaged(string what) => new($"{name}: the DICOM file is damaged or cut off: {what}");

    /// <summary>Which element begins at a place.</summary>
    /// <exception cref="InputException">There is no room for one.</exception>
    public uint TagAt(int at, int end)
    {
        if (end - at < 8) throw Damaged($"{end - at} bytes are left where an element of at least 8 should begin");
        return (uint)BinaryPrimitives.ReadUInt16LittleEndian(_file[at..]) << 16 | BinaryPrimitives.ReadUInt16LittleEndian(_file[(at + 2)..]);
    }

    private int EndOfFragments(int at, int end)
    {
        while (NextItem(ref at, end, isImplicit: false, depth: DeepestNesting) is { } fragment)
            if (fragment.IsOpen) throw Damaged("a fragment of its pixels has no length");
        return Closed(at, end, DicomTag.PixelData);
    }

    private int EndOfSequence(int at, int end, bool isImplicit, int depth, uint tag)
    {
        if (depth > DeepestNesting) throw Damaged($"sequences lie more than {DeepestNesting} deep in one another");
        while (NextItem(ref at, end, isImplicit, depth) is not null)
        {
        }

        return Closed(at, end, tag);
    }

    private int Closed(int at, int end, uint tag) => at < end ? at : throw Damaged($"{DicomTag.Spell(tag)} does not end");

    private int EndOfItem(int at, int end, bool isImplicit, int depth)
    {
        // The fragments of pixels are items too, and never open; they arrive with the greatest depth.
        if (depth >= DeepestNesting) throw Damaged($"sequences lie more than {DeepestNesting} deep in one another");
        while (TagAt(at, end) != DicomTag.ItemEnd) at = Read(at, end, isImplicit, depth).End;
        return at;
    }
}
