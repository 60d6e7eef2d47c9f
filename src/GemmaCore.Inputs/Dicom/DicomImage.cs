namespace GemmaCore.Inputs.Dicom;

/// <summary>How many colours a picture's samples are, and which (PS3.3, C.7.6.3.1.2).</summary>
internal enum Photometric
{
    /// <summary>Grey, low values bright.</summary>
    Monochrome1,

    /// <summary>Grey, low values dark.</summary>
    Monochrome2,

    /// <summary>Numbers of colours in three tables.</summary>
    Palette,

    /// <summary>Red, green, blue.</summary>
    Rgb,

    /// <summary>Brightness and two differences, for every pixel.</summary>
    YbrFull,

    /// <summary>As <see cref="YbrFull"/>, with the differences for every second pixel of a row.</summary>
    YbrFull422,
}

/// <summary>The image pixel module of a file: how its samples are to be read.</summary>
internal sealed record DicomImage
{
    private const int LargestFrameCount = 1 << 20;

    public required int Columns { get; init; }

    public required int Rows { get; init; }

    /// <summary>1 or 3 values a pixel.</summary>
    public required int Samples { get; init; }

    public required Photometric Photometric { get; init; }

    /// <summary>8 or 16.</summary>
    public required int BitsAllocated { get; init; }

    public required int BitsStored { get; init; }

    /// <summary>Bits below the lowest one that counts.</summary>
    public required int Shift { get; init; }

    public required bool IsSigned { get; init; }

    /// <summary>Three planes, not three values side by side.</summary>
    public required bool IsPlanar { get; init; }

    public required int Frames { get; init; }

    public bool IsGrey => Photometric is Photometric.Monochrome1 or Photometric.Monochrome2;

    /// <summary>Bytes of one frame as it lies in the file when it is not packed.</summary>
    public long FrameBytes => (long)Rows * Columns * (Photometric == Photometric.YbrFull422 ? 2 : Samples) * (BitsAllocated / 8);

    /// <exception cref="InputException">There are no pixels, or they are of a kind that is not read here.</exception>
    public static DicomImage Read(DicomFile file)
    {
        DicomDataset data = file.Data;
        if (file.Syntax.Packing == PixelPacking.Unreadable) throw TransferSyntax.Refusal(file.Meta.Text(DicomTag.TransferSyntax), file.Name);
        if (!data.Has(DicomTag.PixelData)) throw Wrong(file, "it holds no pixels");
        int rows = Required(file, DicomTag.Rows, "Rows"), columns = Required(file, DicomTag.Columns, "Columns"), samples = data.Short(DicomTag.Samples) ?? 1;
        int allocated = Required(file, DicomTag.BitsAllocated, "Bits Allocated"), stored = data.Short(DicomTag.BitsStored) ?? allocated;
        int high = data.Short(DicomTag.HighBit) ?? stored - 1;
        double frames = data.Number(DicomTag.Frames) ?? 1;
        Photometric photometric = PhotometricOf(data.Text(DicomTag.Photometric), samples, file.Syntax.Packing) ?? throw Wrong(file,
            $"its photometric interpretation is not read here with {samples} samples; expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB, YBR_FULL or YBR_FULL_422");

        if (rows == 0 || columns == 0) throw Wrong(file, $"it has {columns} x {rows} pixels");
        if (allocated is not (8 or 16)) throw Wrong(file, $"it has {allocated} bits for a sample; 8 and 16 are read here");
        if (stored < 1 || stored > allocated || high < stored - 1 || high >= allocated) throw Wrong(file, $"{stored} bits up to bit {high} of {allocated} cannot be a sample");
        if (samples == 3 && allocated != 8) throw Wrong(file, $"it has colours of {allocated} bits; 8 are read here");
        if (frames is < 1 or > LargestFrameCount || frames != Math.Floor(frames)) throw Wrong(file, "its number of frames makes no sense");
        return new DicomImage
        {
            Columns = columns,
            Rows = rows,
            Samples = samples,
            Photometric = photometric,
            BitsAllocated = allocated,
            BitsStored = stored,
            Shift = high - stored + 1,
            IsSigned = data.Short(DicomTag.Representation) == 1,
            IsPlanar = data.Short(DicomTag.Planar) == 1,
            Frames = (int)frames,
        };
    }

    public static InputException Wrong(DicomFile file, string what) => new($"{file.Name}: the DICOM file cannot be shown: {what}");

    private static int Required(DicomFile file, uint tag, string what) => file.Data.Short(tag) ?? throw Wrong(file, $"{DicomTag.Spell(tag)} {what} is missing");

    // JPEG decoders hand out red, green and blue whatever was stored, so lossy colour spaces of JPEG are not named here.
    // Those of JPEG 2000 are undone as its codestream says.
    private static Photometric? PhotometricOf(string name, int samples, PixelPacking packing) => (name, samples) switch
    {
        ("MONOCHROME1", 1) => Photometric.Monochrome1,
        ("MONOCHROME2" or "", 1) => Photometric.Monochrome2,
        ("PALETTE COLOR", 1) => Photometric.Palette,
        ("RGB", 3) => Photometric.Rgb,
        ("YBR_RCT" or "YBR_ICT", 3) when packing == PixelPacking.Jpeg2000 => Photometric.Rgb,
        ("YBR_FULL", 3) => Photometric.YbrFull,
        ("YBR_FULL_422", 3) => Photometric.YbrFull422,
        _ => null,
    };
}
