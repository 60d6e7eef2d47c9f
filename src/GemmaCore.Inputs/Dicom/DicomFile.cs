using System.Buffers.Binary;

namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// A DICOM file (PS3.10) and what is known of its pictures. Explicit and implicit VR little endian; pixels as they are, in run lengths, as 8-bit JPEG, lossless JPEG, JPEG-LS or JPEG
/// 2000. Other transfer syntaxes are refused by name. Nothing of the patient is ever part of a complaint.
/// </summary>
internal sealed class DicomFile
{
    private const int PreambleLength = 128;

    private DicomFile(string name, ReadOnlyMemory<byte> content, DicomDataset meta, DicomDataset data, TransferSyntax syntax) =>
        (Name, Content, Meta, Data, Syntax) = (name, content, meta, data, syntax);

    /// <summary>For complaints.</summary>
    public string Name { get; }

    /// <summary>Group 0002; empty where the file has none.</summary>
    public DicomDataset Meta { get; }

    /// <summary>All other groups, up to and with the pixels.</summary>
    public DicomDataset Data { get; }

    public TransferSyntax Syntax { get; }

    /// <summary>The whole file.</summary>
    public ReadOnlyMemory<byte> Content { get; }

    /// <summary>
    /// Whether a file is DICOM: "DICM" behind a preamble, or, as old devices and some archives write them, no preamble and an element of group 0002 or 0008 first.
    /// </summary>
    public static bool IsOne(ReadOnlySpan<byte> file) => HasPreamble(file) || (file.Length >= 8 && file[0] is 2 or 8 && file[1] == 0 && BinaryPrimitives.ReadUInt16LittleEndian(file[2..]) <= 0x0100);

    /// <exception cref="InputException">Damaged, or in a transfer syntax that is not read here.</exception>
    public static DicomFile Read(ReadOnlyMemory<byte> file, string name)
    {
        int start = HasPreamble(file.Span) ? PreambleLength + 4 : 0;
        var meta = new DicomDataset(file, name, start, BeginsWithMeta(file.Span, start) ? file.Length : start, isImplicit: false, group: 0x0002);
        TransferSyntax syntax = meta.Has(DicomTag.TransferSyntax)
            ? TransferSyntax.Of(meta.Text(DicomTag.TransferSyntax), name)
            : new TransferSyntax(!HasRepresentation(file.Span, meta.End), PixelPacking.None);
        return new DicomFile(name, file, meta, new DicomDataset(file, name, meta.End, file.Length, syntax.IsImplicit), syntax);
    }

    private static bool HasPreamble(ReadOnlySpan<byte> file) => file.Length >= PreambleLength + 4 && file.Slice(PreambleLength, 4).SequenceEqual("DICM"u8);

    private static bool BeginsWithMeta(ReadOnlySpan<byte> file, int start) => file.Length >= start + 2 && BinaryPrimitives.ReadUInt16LittleEndian(file[start..]) == 0x0002;

    // Without a transfer syntax: the letters of the first element tell.
    private static bool HasRepresentation(ReadOnlySpan<byte> file, int start) =>
        file.Length >= start + 6 && DicomElement.IsKnown(BinaryPrimitives.ReadUInt16BigEndian(file[(start + 4)..]));
}
