namespace GemmaCore.Inputs.Dicom;

/// <summary>How the pixels of a DICOM file are packed.</summary>
internal enum PixelPacking
{
    /// <summary>As they are.</summary>
    None,

    /// <summary>PackBits, byte plane by byte plane (PS3.5, annex G).</summary>
    RunLengths,

    /// <summary>JPEG of 8 bits.</summary>
    Jpeg,

    /// <summary>Lossless JPEG (T.81, process 14).</summary>
    LosslessJpeg,

    /// <summary>JPEG-LS (T.87), lossless or near-lossless.</summary>
    JpegLs,

    /// <summary>JPEG 2000, Part 1 (T.800), reversible or not.</summary>
    Jpeg2000,

    /// <summary>In a way that is not unpacked here; the rest of the file can be read.</summary>
    Unreadable,
}

/// <summary>A transfer syntax whose elements are read here.</summary>
/// <param name="IsImplicit">Value representations are left out.</param>
/// <param name="Packing">How pixels are packed.</param>
internal readonly record struct TransferSyntax(bool IsImplicit, PixelPacking Packing)
{
    private const string Remedy = "; unpack it first, e.g. gdcmconv --raw IN OUT or dcmconv +te IN OUT";

    // PS3.6, table A-1: what is not read here, by name.
    private static readonly Dictionary<string, string> Others = new()
    {
        ["1.2.840.10008.1.2.1.99"] = "Deflated Explicit VR Little Endian",
        ["1.2.840.10008.1.2.2"] = "Explicit VR Big Endian",
        ["1.2.840.10008.1.2.4.92"] = "JPEG 2000 Part 2 Lossless",
        ["1.2.840.10008.1.2.4.93"] = "JPEG 2000 Part 2",
        ["1.2.840.10008.1.2.4.100"] = "MPEG-2 Main Level",
        ["1.2.840.10008.1.2.4.102"] = "MPEG-4 AVC",
        ["1.2.840.10008.1.2.4.110"] = "JPEG XL Lossless",
        ["1.2.840.10008.1.2.4.112"] = "JPEG XL",
        ["1.2.840.10008.1.2.4.201"] = "High-Throughput JPEG 2000 Lossless",
        ["1.2.840.10008.1.2.4.203"] = "High-Throughput JPEG 2000",
    };

    /// <exception cref="InputException">It is not read here.</exception>
    public static TransferSyntax Of(string uid, string name) => uid switch
    {
        "1.2.840.10008.1.2" => new TransferSyntax(true, PixelPacking.None),
        "1.2.840.10008.1.2.1" => new TransferSyntax(false, PixelPacking.None),
        "1.2.840.10008.1.2.4.50" or "1.2.840.10008.1.2.4.51" => new TransferSyntax(false, PixelPacking.Jpeg),
        "1.2.840.10008.1.2.4.57" or "1.2.840.10008.1.2.4.70" => new TransferSyntax(false, PixelPacking.LosslessJpeg),
        "1.2.840.10008.1.2.4.80" or "1.2.840.10008.1.2.4.81" => new TransferSyntax(false, PixelPacking.JpegLs),
        "1.2.840.10008.1.2.4.90" or "1.2.840.10008.1.2.4.91" => new TransferSyntax(false, PixelPacking.Jpeg2000),
        "1.2.840.10008.1.2.5" => new TransferSyntax(false, PixelPacking.RunLengths),
        _ when uid.StartsWith("1.2.840.10008.1.2.4.", StringComparison.Ordinal) => new TransferSyntax(false, PixelPacking.Unreadable),
        _ => throw Refusal(uid, name),
    };

    /// <summary>The complaint about a transfer syntax whose pixels are not unpacked here.</summary>
    public static InputException Refusal(string uid, string name) =>
        new($"{name}: its transfer syntax, {Others.GetValueOrDefault(uid, "an unknown one")} ({Digits(uid)}), is not read here{Remedy}");

    // A damaged file may have anything there.
    private static string Digits(string uid) => uid.Length is > 0 and <= 64 && uid.All(letter => char.IsAsciiDigit(letter) || letter == '.') ? uid : "no UID";
}
