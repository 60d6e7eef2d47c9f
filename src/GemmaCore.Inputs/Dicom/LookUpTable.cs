using System.Buffers.Binary;

namespace GemmaCore.Inputs.Dicom;

/// <summary>A table from stored numbers to others (PS3.3, C.7.6.3.1.5 and C.11.1); numbers before its first get its first value, those behind its last the last.</summary>
/// <param name="first">The number that the first value belongs to.</param>
/// <param name="values">What they become.</param>
/// <param name="bits">Bits of a value, 8 to 16.</param>
internal sealed class LookUpTable(int first, int[] values, int bits)
{
    private const int MostEntries = 1 << 16; // written as 0

    /// <summary>What a stored number becomes.</summary>
    public int Value(int number) => values[(int)Math.Clamp((long)number - first, 0, values.Length - 1)];

    /// <summary>The same in 8 bits.</summary>
    public byte Byte(int number) => (byte)(Value(number) >> (bits - 8));

    /// <summary>What a value becomes in grey: white is the largest number that the table's bits can hold. Values between whole numbers take the nearest one's.</summary>
    public byte Grey(double value)
    {
        int largest = (1 << bits) - 1;
        return (byte)((Value((int)Math.Round(value, MidpointRounding.ToEven)) * 255 + largest / 2) / largest);
    }

    /// <param name="file">For complaints.</param>
    /// <param name="data">The dataset that both lie in.</param>
    /// <param name="descriptor">Tag of count, first number and bits.</param>
    /// <param name="table">Tag of the values.</param>
    /// <param name="isSigned">Whether the numbers may be negative, where the descriptor's value representation does not say.</param>
    /// <exception cref="InputException">It is missing, or descriptor and table do not go together.</exception>
    public static LookUpTable Read(DicomFile file, DicomDataset data, uint descriptor, uint table, bool isSigned)
    {
        ReadOnlySpan<byte> description = data.Value(descriptor), entries = data.Value(table);
        if (description.Length < 6) throw DicomImage.Wrong(file, $"{DicomTag.Spell(descriptor)}, which describes a table of values, is missing or cut short; palettes in segments are not read here");
        if (data.Find(descriptor) is { Vr: DicomElement.SignedShort or DicomElement.UnsignedShort } written) isSigned = written.Vr == DicomElement.SignedShort;
        int count = BinaryPrimitives.ReadUInt16LittleEndian(description), bits = BinaryPrimitives.ReadUInt16LittleEndian(description[4..]);
        int first = isSigned ? BinaryPrimitives.ReadInt16LittleEndian(description[2..]) : BinaryPrimitives.ReadUInt16LittleEndian(description[2..]);
        if (count == 0) count = MostEntries;
        // Values of 8 bits lie in bytes, or each in two.
        bool inBytes = bits == 8 && entries.Length < 2 * count;
        if (bits is < 8 or > 16 || entries.Length < (inBytes ? count : 2 * count))
            throw DicomImage.Wrong(file, $"{DicomTag.Spell(table)} has {entries.Length} bytes for {count} values of {bits} bits");
        var values = new int[count];
        for (int i = 0; i < count; i++) values[i] = (inBytes ? entries[i] : BinaryPrimitives.ReadUInt16LittleEndian(entries[(2 * i)..])) & ((1 << bits) - 1);
        return new LookUpTable(first, values, bits);
    }
}
