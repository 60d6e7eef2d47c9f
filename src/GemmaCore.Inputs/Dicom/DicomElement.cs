namespace GemmaCore.Inputs.Dicom;

/// <summary>Where a data element lies in its file.</summary>
/// <param name="Tag">Group and element.</param>
/// <param name="Vr">The two letters of its value representation, the first in the upper byte; 0 where the file leaves them out.</param>
/// <param name="Begin">First byte of its head.</param>
/// <param name="Start">First byte of its value.</param>
/// <param name="Length">Bytes of its value, without the mark that ends one of undefined length.</param>
/// <param name="End">First byte behind it.</param>
/// <param name="IsImplicit">True when what lies inside it leaves out value representations.</param>
/// <param name="IsOpen">True when its length is undefined in the file.</param>
internal readonly record struct DicomElement(uint Tag, ushort Vr, int Begin, int Start, int Length, int End, bool IsImplicit, bool IsOpen)
{
    public const ushort Sequence = ('S' << 8) | 'Q', Unknown = ('U' << 8) | 'N', Name = ('P' << 8) | 'N', Uid = ('U' << 8) | 'I', SignedShort = ('S' << 8) | 'S', UnsignedShort = ('U' << 8) | 'S';

    /// <summary>Representations whose length takes four bytes behind two reserved ones (PS3.5, table 7.1-1).</summary>
    private static readonly string[] Long = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"];

    private static readonly string[] Short =
        ["AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"];

    private static readonly HashSet<ushort> LongVrs = [.. Long.Select(Code)], ShortVrs = [.. Short.Select(Code)];

    public bool IsPrivate => (Tag >> 16 & 1) == 1;

    public static ushort Code(string letters) => (ushort)(letters[0] << 8 | letters[1]);

    public static bool HasLongLength(ushort vr) => LongVrs.Contains(vr);

    public static bool IsKnown(ushort vr) => LongVrs.Contains(vr) || ShortVrs.Contains(vr);
}
