using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Inputs.Volumes;

/// <summary>A stack of grey slices: a NIfTI file, a series of DICOM files in a folder, or a DICOM file of several frames. Slices count from 1.</summary>
internal abstract class Volume
{
    // What one volume may take, unpacked: a CT of 2000 slices of 512 x 512 in 16 bits is half of it.
    public const long MostBytes = (1L << 31) - (1 << 20);

    private (double Smallest, double Largest)? _extent;

    protected Volume(string name) => Name = name;

    /// <summary>For complaints.</summary>
    public string Name { get; }

    /// <summary>Number of slices.</summary>
    public abstract int Count { get; }

    /// <summary>Opens a volume.</summary>
    /// <param name="path">A file, or a folder of DICOM files.</param>
    /// <param name="maxPixels">Refuse slices with more.</param>
    /// <exception cref="InputException">There is none, or it is damaged, too large, or of a kind that is not read here.</exception>
    public static Volume Open(string path, long maxPixels)
    {
        if (Directory.Exists(path)) return DicomSeries.OfFolder(path, maxPixels);
        if (!File.Exists(path)) throw new InputException($"{path}: not found");
        Span<byte> head = stackalloc byte[132 + 4];
        using (FileStream stream = File.OpenRead(path)) head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        return DicomFile.IsOne(head) ? DicomSeries.Of(path, [DicomFrames.Open(DicomFile.Read(JsonInput.ReadFile(path), path), maxPixels)]) : NiftiVolume.Read(path, maxPixels);
    }

    /// <summary>The number of slices, with as little reading as the kind of volume allows.</summary>
    /// <exception cref="InputException">As for <see cref="Open"/>.</exception>
    public static int CountSlices(string path) => File.Exists(path) && NiftiVolume.TryReadHeader(path) is { } header ? header.Size[2] : Open(path, ImageDecoder.DefaultMaxPixels).Count;

    /// <summary>A slice through a window, values scaled over the whole volume where the window is <see cref="GreyWindow.Full"/>.</summary>
    /// <param name="slice">From 1.</param>
    /// <param name="window">Null for what the modality asks for.</param>
    /// <exception cref="InputException">There is no such slice, or no window and no modality.</exception>
    public RgbImage Show(int slice, GreyWindow? window)
    {
        if (slice < 1 || slice > Count) throw new InputException($"{Name}: there is no slice {slice}; the volume has {Count}, counted from 1");
        GreyPicture picture = Slice(slice);
        window ??= DefaultWindow(picture);
        return (window == GreyWindow.Full ? picture with { Extent = _extent ??= Extent() } : picture).Show(window);
    }

    protected abstract GreyWindow DefaultWindow(GreyPicture slice);

    protected abstract GreyPicture Slice(int slice);

    private (double Smallest, double Largest) Extent()
    {
        (double smallest, double largest) = (double.MaxValue, double.MinValue);
        for (int slice = 1; slice <= Count; slice++)
        {
            foreach (double value in Slice(slice).Values) (smallest, largest) = (Math.Min(smallest, value), Math.Max(largest, value));
        }

        return (smallest, largest);
    }
}
