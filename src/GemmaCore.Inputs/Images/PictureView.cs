using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Inputs;

/// <summary>A frame of a DICOM file or a page of a TIFF file as a model is shown it, and what else can be chosen of the file.</summary>
public sealed record PictureView
{
    /// <summary>The picture.</summary>
    public required RgbImage Picture { get; init; }

    /// <summary>Frames or pages of the file.</summary>
    public int Frames { get; init; } = 1;

    /// <summary>The window that it is seen through; null for bytes as they are.</summary>
    public GreyWindow? Window { get; init; }

    /// <summary>The values between black and white where they are one range: the window's centre and its width.</summary>
    public (double Centre, double Width)? Range { get; init; }

    /// <summary>Values are Hounsfield units.</summary>
    public bool IsHounsfield { get; init; }

    /// <summary>Windows that make sense for it, besides CENTRE/WIDTH; empty where it takes none.</summary>
    public IReadOnlyList<WindowChoice> Windows { get; init; } = [];

    /// <summary>The picture that <see cref="ImageDecoder.Decode"/> gives, where that needs a window and none is given, from the smallest to the largest value.</summary>
    /// <param name="source">The encoded picture.</param>
    /// <param name="maxPixels">Refuse larger pictures before they are unpacked.</param>
    /// <exception cref="InputException">As for <see cref="ImageDecoder.Decode"/>.</exception>
    public static PictureView Of(ImageSource source, long maxPixels = ImageDecoder.DefaultMaxPixels)
    {
        ArgumentNullException.ThrowIfNull(source);
        string name = source.Path ?? "image";
        if (TiffFile.Of(source) is { } tiff) return TiffPicture.View(tiff, source.Frame, maxPixels, source.Window);
        ReadOnlyMemory<byte> file = ImageDecoder.FileOf(source);
        if (DicomFile.IsOne(file.Span)) return DicomFrames.Open(DicomFile.Read(file, name), maxPixels).View(source.Frame, source.Window);
        return new PictureView { Picture = ImageDecoder.Decode(source with { Bytes = file }, maxPixels: maxPixels) };
    }

    internal static PictureView Of(GreyPicture grey, GreyWindow? asked, int frames)
    {
        GreyWindow window = asked ?? grey.DefaultWindow;
        IEnumerable<WindowChoice> own = grey.OwnWindows.Select((range, index) => new WindowChoice(GreyWindow.Own(index), range.Label));
        bool isHounsfield = grey.DefaultWindow == GreyWindow.Ct;
        IEnumerable<GreyWindow> others = [.. grey.OwnTable is null ? [] : (GreyWindow[])[GreyWindow.Table], .. isHounsfield ? GreyWindow.Hounsfield : [], GreyWindow.Full];
        // What the picture asks for stands first, also where it can be asked for by no name.
        WindowChoice[] known = [.. own, .. others.Select(other => new WindowChoice(other, ""))];
        WindowChoice first = known.FirstOrDefault(choice => choice.Window == grey.DefaultWindow) ?? new WindowChoice(grey.DefaultWindow == GreyWindow.Unchanged ? null : grey.DefaultWindow, "");
        return new PictureView
        {
            Picture = grey.Show(window),
            Frames = frames,
            Window = window == GreyWindow.Unchanged ? null : window,
            Range = grey.Range(window) is { } range ? (range.Centre, range.Width) : null,
            IsHounsfield = isHounsfield,
            Windows = [first, .. known.Where(choice => choice != first)],
        };
    }
}

/// <summary>A window that can be chosen.</summary>
/// <param name="Window">The window; null for bytes as they are.</param>
/// <param name="Label">What the file calls it; empty where it does not say.</param>
public sealed record WindowChoice(GreyWindow? Window, string Label);
