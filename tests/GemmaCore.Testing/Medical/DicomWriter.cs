using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace GemmaCore.Testing.Medical;

/// <summary>How the sequences of a made file tell where they end.</summary>
public enum SequenceLengths
{
    Given,
    Undefined,
}

/// <summary>Makes small DICOM files for tests: synthetic numbers, no patient anywhere but where a test puts an invented one.</summary>
/// <param name="isImplicit">Implicit VR little endian.</param>
/// <param name="lengths">Of sequences and items.</param>
public sealed class DicomWriter(bool isImplicit = false, SequenceLengths lengths = SequenceLengths.Given)
{
    private static readonly string[] Long = ["OB", "OW", "SQ", "UN", "UT"];

    private readonly SortedDictionary<uint, byte[]> _elements = [];

    public bool HasPreamble { get; set; } = true;

    public bool HasMeta { get; set; } = true;

    public string TransferSyntax { get; set; } = isImplicit ? "1.2.840.10008.1.2" : "1.2.840.10008.1.2.1";

    /// <summary>A grey picture of 16 bits with what every file needs.</summary>
    public static DicomWriter Grey(int columns, int rows, IEnumerable<int> values, string modality = "OT", int bitsStored = 16, bool isSigned = false, bool isImplicit = false)
    {
        var writer = new DicomWriter(isImplicit);
        writer.Text(0x0008_0060, "CS", modality).Shape(columns, rows, 1, "MONOCHROME2", 16, bitsStored, isSigned);
        return writer.Pixels([.. values.SelectMany(value => BitConverter.GetBytes((short)value))], "OW");
    }

    /// <summary>A coloured picture as a camera's object has it, with a name that no complaint may show.</summary>
    public static DicomWriter Colour(int columns, int rows, byte[] pixels) =>
        new DicomWriter().Text(0x0008_0060, "CS", "XC").Text(0x0010_0010, "PN", "INVENTED^NAME").Shape(columns, rows, 3, "RGB", 8).Pixels(pixels);

    public DicomWriter Shape(int columns, int rows, int samples, string photometric, int bitsAllocated, int? bitsStored = null, bool isSigned = false)
    {
        int stored = bitsStored ?? bitsAllocated;
        return Short(0x0028_0002, samples).Text(0x0028_0004, "CS", photometric).Short(0x0028_0010, rows).Short(0x0028_0011, columns)
            .Short(0x0028_0100, bitsAllocated).Short(0x0028_0101, stored).Short(0x0028_0102, stored - 1).Short(0x0028_0103, isSigned ? 1 : 0);
    }

    public DicomWriter Short(uint tag, params int[] values) => Element(tag, "US", [.. values.SelectMany(value => BitConverter.GetBytes((ushort)value))]);

    public DicomWriter Number(uint tag, params double[] values) => Text(tag, "DS", string.Join('\\', values.Select(value => value.ToString(CultureInfo.InvariantCulture))));

    public DicomWriter Text(uint tag, string vr, string text) => Element(tag, vr, Encoding.Latin1.GetBytes(text.Length % 2 == 0 ? text : text + (vr == "UI" ? '\0' : ' ')));

    public DicomWriter Pixels(byte[] bytes, string vr = "OB") => Element(0x7FE0_0010, vr, bytes.Length % 2 == 0 ? bytes : [.. bytes, 0]);

    public DicomWriter Element(uint tag, string vr, byte[] value)
    {
        _elements[tag] = [.. Head(tag, vr, (uint)value.Length), .. value];
        return this;
    }

    public DicomWriter Sequence(uint tag, params DicomWriter[] items)
    {
        bool open = lengths == SequenceLengths.Undefined;
        byte[] content = [.. items.SelectMany(item => Item(item.Dataset(), open))];
        _elements[tag] = open ? [.. Head(tag, "SQ", uint.MaxValue), .. content, .. Mark(0xFFFE_E0DD, 0)] : [.. Head(tag, "SQ", (uint)content.Length), .. content];
        return this;
    }

    /// <summary>Packed pixels: a table of offsets and fragments.</summary>
    public DicomWriter Fragments(uint[] table, params byte[][] fragments)
    {
        byte[] offsets = [.. table.SelectMany(BitConverter.GetBytes)];
        _elements[0x7FE0_0010] =
        [
            .. Head(0x7FE0_0010, "OB", uint.MaxValue), .. Item(offsets, open: false),
            .. fragments.SelectMany(fragment => Item(fragment.Length % 2 == 0 ? fragment : [.. fragment, 0], open: false)), .. Mark(0xFFFE_E0DD, 0),
        ];
        return this;
    }

    public DicomWriter Without(uint tag)
    {
        _elements.Remove(tag);
        return this;
    }

    public byte[] Dataset() => [.. _elements.Values.SelectMany(element => element)];

    public byte[] File()
    {
        byte[] meta = [];
        if (HasMeta)
        {
            var group = new DicomWriter().Text(0x0002_0002, "UI", "1.2.840.10008.5.1.4.1.1.7").Text(0x0002_0003, "UI", "1.2.3.4").Text(0x0002_0010, "UI", TransferSyntax);
            byte[] rest = group.Dataset();
            meta = [.. new DicomWriter().Element(0x0002_0000, "UL", BitConverter.GetBytes(rest.Length)).Dataset(), .. rest];
        }

        return [.. HasPreamble ? [.. new byte[128], .. "DICM"u8] : Array.Empty<byte>(), .. meta, .. Dataset()];
    }

    private static byte[] Item(byte[] content, bool open) =>
        open ? [.. Mark(0xFFFE_E000, uint.MaxValue), .. content, .. Mark(0xFFFE_E00D, 0)] : [.. Mark(0xFFFE_E000, (uint)content.Length), .. content];

    private static byte[] Mark(uint tag, uint length) => [.. Tag(tag), .. BitConverter.GetBytes(length)];

    private static byte[] Tag(uint tag)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(tag >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)tag);
        return bytes;
    }

    private byte[] Head(uint tag, string vr, uint length)
    {
        if (isImplicit) return [.. Tag(tag), .. BitConverter.GetBytes(length)];
        byte[] letters = Encoding.ASCII.GetBytes(vr);
        return Long.Contains(vr) ? [.. Tag(tag), .. letters, 0, 0, .. BitConverter.GetBytes(length)] : [.. Tag(tag), .. letters, .. BitConverter.GetBytes((ushort)length)];
    }
}
