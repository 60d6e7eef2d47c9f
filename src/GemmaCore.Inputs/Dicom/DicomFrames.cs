namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// The frames of a DICOM file as pictures, by modality as Google's code for MedGemma does it: CT in three windows, MR from the smallest to the largest value of all frames,
/// radiographs through the file's window or else from their smallest to their largest value, everything of 8 bits besides as it is.
/// </summary>
internal sealed class DicomFrames
{
    // Where the file does not say its modality, the kind of object does (PS3.4, B.5).
    private static readonly (string SopClass, string Modality)[] Kinds =
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT"), ("1.2.840.10008.5.1.4.1.1.4", "MR"), ("1.2.840.10008.5.1.4.1.1.1", "DX"),
    ];

    // What all frames of a packed file may have when one of them needs the extent of all, in the largest allowed picture's: a few bytes can be a frame of millions of pixels.
    private const int FramesWorth = 8;

    private readonly DicomPixels _pixels;
    private readonly long _maxPixels;

    private DicomFrames(DicomFile file, DicomImage image, long maxPixels)
    {
        (File, Image, Modality, Attributes, _maxPixels) = (file, image, ModalityOf(file.Data), new FrameAttributes(file), maxPixels);
        _pixels = new DicomPixels(file, image);
    }

    public DicomFile File { get; }

    public DicomImage Image { get; }

    /// <summary>CT, MR, DX, …; empty where the file does not tell.</summary>
    public string Modality { get; }

    public FrameAttributes Attributes { get; }

    /// <summary>The frames of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="maxPixels">Refuse larger pictures, before anything is unpacked.</param>
    /// <exception cref="InputException">There are no pictures in it, or none that are read here.</exception>
    public static DicomFrames Open(DicomFile file, long maxPixels)
    {
        DicomImage image = DicomImage.Read(file);
        return (long)image.Rows * image.Columns <= Math.Min(maxPixels, Array.MaxLength / 3)
            ? new DicomFrames(file, image, maxPixels)
            : throw new InputException($"{file.Name}: {image.Columns} x {image.Rows} pixels are more than the {maxPixels} allowed; scale the picture down first");
    }

    /// <summary>A frame as a picture.</summary>
    /// <param name="frame">From 1.</param>
    /// <param name="window">Instead of what the modality asks for; null for that.</param>
    /// <exception cref="InputException">It is not there or cannot be shown, or a window was asked for and the picture is coloured.</exception>
    public RgbImage Show(int frame, GreyWindow? window)
    {
        if (Image.IsGrey) return GreyFor(frame, window).Show(window);
        Require(frame);
        return window is null
            ? _pixels.Colours(frame - 1)
            : throw DicomImage.Wrong(File, $"window '{window.Name}' was asked for, and its picture is coloured; leave the window out");
    }

    /// <summary>The same, with what else can be chosen.</summary>
    /// <exception cref="InputException">As for <see cref="Show"/>.</exception>
    public PictureView View(int frame, GreyWindow? window) =>
        Image.IsGrey ? PictureView.Of(GreyFor(frame, window), window, Image.Frames) : new PictureView { Picture = Show(frame, window), Frames = Image.Frames };

    /// <summary>The values of a grey frame.</summary>
    /// <param name="frame">From 1.</param>
    /// <exception cref="InputException">It is not there, or damaged.</exception>
    public GreyPicture Grey(int frame)
    {
        Require(frame);
        IReadOnlyList<OwnWindow> windows = Attributes.Windows(frame - 1);
        (double Slope, double Intercept)? rescale = Attributes.Rescale(frame - 1, needsBoth: Modality == "CT");
        Func<LookUpTable>? table = WindowTable(frame - 1, rescale);
        bool isDeep = Image.BitsAllocated > 8, asks = windows.Count > 0 || table is not null;
        return new GreyPicture
        {
            Name = File.Name,
            Width = Image.Columns,
            Height = Image.Rows,
            Values = [.. _pixels.Stored(frame - 1).Select(Meaning(rescale))],
            OwnWindows = windows,
            OwnTable = table,
            DefaultWindow = Modality switch
            {
                "CT" when isDeep || rescale is not null => GreyWindow.Ct,
                "MR" => GreyWindow.Full,
                "CR" or "DX" or "RG" when asks => GreyWindow.OfFile,
                _ when !isDeep && !Image.IsSigned => GreyWindow.Unchanged,
                _ => asks ? GreyWindow.OfFile : GreyWindow.Full,
            },
            IsInverted = Image.Photometric == Photometric.Monochrome1,
        };
    }

    private static string ModalityOf(DicomDataset data)
    {
        string modality = data.Text(DicomTag.Modality), sopClass = data.Text(DicomTag.SopClass);
        if (modality.Length > 0) return modality;
        return Array.Find(Kinds, kind => sopClass == kind.SopClass || sopClass.StartsWith(kind.SopClass + ".", StringComparison.Ordinal)).Modality ?? "";
    }

    // Only where a frame is stretched do the others count.
    private GreyPicture GreyFor(int frame, GreyWindow? window)
    {
        GreyPicture grey = Grey(frame);
        return Modality == "MR" && Image.Frames > 1 && (window ?? grey.DefaultWindow) == GreyWindow.Full ? grey with { Extent = Extent() } : grey;
    }

    // Smallest and largest value of all frames of an MR file, whose values are the stored ones.
    private (double Smallest, double Largest) Extent()
    {
        long all = (long)Image.Rows * Image.Columns * Image.Frames;
        if (File.Syntax.Packing != PixelPacking.None && all / FramesWorth > _maxPixels)
            throw new InputException($"{File.Name}: its grey depends on all {Image.Frames} frames, and to unpack their {all} pixels is more than {FramesWorth} times the {_maxPixels} allowed for one; unpack it first, e.g. gdcmconv --raw IN OUT");
        (int smallest, int largest) = (int.MaxValue, int.MinValue);
        for (int frame = 0; frame < Image.Frames; frame++)
        {
            int[] values = _pixels.Stored(frame);
            (smallest, largest) = (Math.Min(smallest, values.Min()), Math.Max(largest, values.Max()));
        }

        return (smallest, largest);
    }

    private void Require(int frame)
    {
        if (frame < 1 || frame > Image.Frames) throw new InputException($"{File.Name}: there is no frame {frame}; the file has {Image.Frames}, counted from 1");
    }

    // Read where it is used, so that a damaged one does not stand in the way of another window. Its numbers are what the modality's table or slope makes of the stored ones.
    private Func<LookUpTable>? WindowTable(int frame, (double Slope, double Intercept)? rescale)
    {
        if (Attributes.WindowTable(frame) is not { } item) return null;
        return () =>
        {
            int smallest = Image.IsSigned ? -1 << (Image.BitsStored - 1) : 0, largest = smallest + (1 << Image.BitsStored) - 1;
            Func<int, double> meaning = Meaning(rescale);
            return LookUpTable.Read(File, item, DicomTag.TableDescriptor, DicomTag.Table, isSigned: Math.Min(meaning(smallest), meaning(largest)) < 0);
        };
    }

    // MR values mean something beside each other only, and stay as they are; Hounsfield units are whole numbers.
    private Func<int, double> Meaning((double Slope, double Intercept)? rescale)
    {
        if (Modality == "MR") return stored => stored;
        if (Modality != "CT" && File.Data.Items(DicomTag.ModalityTables) is [var first, ..])
        {
            LookUpTable table = LookUpTable.Read(File, first, DicomTag.TableDescriptor, DicomTag.Table, Image.IsSigned);
            return stored => table.Value(stored);
        }

        if (rescale is not { } both) return stored => stored;
        if (Modality == "CT") return stored => Math.Round(stored * both.Slope + both.Intercept, MidpointRounding.ToEven);
        return stored => stored * both.Slope + both.Intercept;
    }
}
