using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace GemmaCore.Inputs.Dicom;

/// <summary>A copy of a DICOM file without its patient.</summary>
/// <param name="Content">The file.</param>
/// <param name="InstanceUid">Its new name among all objects.</param>
/// <param name="Removed">Attributes that are gone or empty, private ones included.</param>
/// <param name="MayShowText">The picture may have text burnt into it: the file says so, or does not say that it has none.</param>
public sealed record ScrubbedFile(byte[] Content, string InstanceUid, int Removed, bool MayShowText);

/// <summary>
/// Writes DICOM files without what tells who the patient is: only <see cref="KeptAttributes"/> stay, names of objects are replaced by others, the same for the same, dates go,
/// and so do private attributes, overlays, preamble and everything behind the pixels. Pixels are copied as they are.
/// </summary>
public sealed class DicomScrub
{
    private const string Method = "GemmaCore scrub: listed attributes kept, PS3.15 basic profile or stricter";

    // UUID-derived (PS3.5, B.2); names this program as the writer.
    private const string Implementation = "2.25.252614037106420183512938463914037410121";

    private readonly byte[] _key;

    /// <summary>With a key of its own: objects that belong together are scrubbed by one instance.</summary>
    public DicomScrub() => _key = RandomNumberGenerator.GetBytes(32);

    /// <summary>With a secret, which gives the same new names in every run; who knows it can tell which old name became which new one.</summary>
    public DicomScrub(string secret) => _key = SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>Whether a file is DICOM.</summary>
    public static bool IsDicom(ReadOnlySpan<byte> file) => DicomFile.IsOne(file);

    /// <summary>Scrubs a file.</summary>
    /// <exception cref="InputException">It is damaged, has no name among objects, or is deflated or big endian.</exception>
    public ScrubbedFile Scrub(ReadOnlyMemory<byte> content, string name)
    {
        DicomFile file = DicomFile.Read(content, name);
        if (!file.Data.Has(DicomTag.SopInstance)) throw new InputException($"{name}: the DICOM file has no SOP Instance UID {DicomTag.Spell(DicomTag.SopInstance)}; it cannot be given a new one");
        if (!file.Data.Text(DicomTag.SopClass).All(letter => char.IsAsciiDigit(letter) || letter == '.')) throw new InputException($"{name}: SOP Class UID {DicomTag.Spell(DicomTag.SopClass)} of the DICOM file is no UID");
        string instance = NewUid(file.Data.Value(DicomTag.SopInstance));
        int removed = 0;
        bool isImplicit = file.Syntax.IsImplicit;
        var elements = new SortedDictionary<uint, byte[]>();
        foreach ((uint tag, string vr) in KeptAttributes.Emptied) elements[tag] = Element(tag, vr, [], isImplicit);
        elements[0x0012_0062] = Element(0x0012_0062, "CS", Text("YES"), isImplicit);
        elements[0x0012_0063] = Element(0x0012_0063, "LO", Text(Method), isImplicit);
        foreach (DicomElement element in file.Data.Elements)
        {
            if (Kept(file, file.Data, element, ref removed) is { } bytes) elements[element.Tag] = bytes;
        }

        bool says = file.Data.Text(DicomTag.BurnedIn) == "NO";
        byte[] meta = Meta(file, instance);
        return new ScrubbedFile([.. new byte[128], .. "DICM"u8, .. meta, .. elements.Values.SelectMany(bytes => bytes)], instance, removed, !says && file.Data.Has(DicomTag.PixelData));
    }

    private byte[]? Kept(DicomFile file, DicomDataset data, DicomElement element, ref int removed)
    {
        ReadOnlySpan<byte> value = data.Value(element.Tag);
        string vr = element.Vr == 0 ? "UN" : $"{(char)(element.Vr >> 8)}{(char)(element.Vr & 0xFF)}";
        if (KeptAttributes.KeepsValue(element.Tag) && (!element.IsOpen || element.Tag == DicomTag.PixelData)) return file.Content[element.Begin..element.End].ToArray();
        if (KeptAttributes.Renames(element.Tag)) return Element(element.Tag, "UI", Text(value.Length == 0 ? "" : NewUid(value), '\0'), file.Syntax.IsImplicit);
        if (KeptAttributes.KeepsItems(element.Tag) && (vr is "SQ" || file.Syntax.IsImplicit))
        {
            List<byte> items = [];
            foreach (DicomDataset item in data.Items(element.Tag))
            {
                List<byte> inside = [];
                foreach (DicomElement inner in item.Elements) inside.AddRange(Kept(file, item, inner, ref removed) ?? []);
                items.AddRange([.. Head(DicomTag.Item), .. BitConverter.GetBytes(inside.Count), .. inside]);
            }

            return Element(element.Tag, "SQ", [.. items], file.Syntax.IsImplicit);
        }

        // Group lengths say nothing, and attributes that were empty already lose nothing.
        if ((element.Tag & 0xFFFF) != 0 && value.Length > 0) removed++;
        return null;
    }

    private static byte[] Meta(DicomFile file, string instance)
    {
        string syntax = file.Meta.Text(DicomTag.TransferSyntax);
        if (syntax.Length == 0) syntax = file.Syntax.IsImplicit ? "1.2.840.10008.1.2" : "1.2.840.10008.1.2.1";
        byte[] rest =
        [
            .. Element(0x0002_0001, "OB", [0, 1], false), .. Element(0x0002_0002, "UI", Text(file.Data.Text(DicomTag.SopClass), '\0'), false),
            .. Element(DicomTag.MediaStorageInstance, "UI", Text(instance, '\0'), false), .. Element(DicomTag.TransferSyntax, "UI", Text(syntax, '\0'), false),
            .. Element(0x0002_0012, "UI", Text(Implementation, '\0'), false),
        ];
        return [.. Element(DicomTag.MetaLength, "UL", BitConverter.GetBytes(rest.Length), false), .. rest];
    }

    // 2.25. and 122 bits of a keyed hash, written as the version-4 UUID that the standard wants there.
    private string NewUid(ReadOnlySpan<byte> old)
    {
        byte[] hash = HMACSHA256.HashData(_key, old.TrimEnd((byte)0).TrimEnd((byte)' ').ToArray())[..16];
        hash[6] = (byte)(hash[6] & 0x0F | 0x40);
        hash[8] = (byte)(hash[8] & 0x3F | 0x80);
        return $"2.25.{new BigInteger(hash, isUnsigned: true, isBigEndian: true)}";
    }

    private static byte[] Text(string text, char pad = ' ') => Encoding.ASCII.GetBytes(text.Length % 2 == 0 ? text : text + pad);

    private static byte[] Head(uint tag)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(tag >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)tag);
        return bytes;
    }

    private static byte[] Element(uint tag, string vr, byte[] value, bool isImplicit)
    {
        if (isImplicit) return [.. Head(tag), .. BitConverter.GetBytes(value.Length), .. value];
        byte[] letters = Encoding.ASCII.GetBytes(vr);
        return DicomElement.HasLongLength(DicomElement.Code(vr))
            ? [.. Head(tag), .. letters, 0, 0, .. BitConverter.GetBytes(value.Length), .. value]
            : [.. Head(tag), .. letters, .. BitConverter.GetBytes((ushort)value.Length), .. value];
    }
}
