using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;

namespace GemmaCore.Inputs;

/// <summary>A picture as the vision tower takes it.</summary>
/// <param name="Values">[3, Height, Width] float32: red, green and blue planes, normalised.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Pixels per row.</param>
public sealed record ImagePixels(float[] Values, int Height, int Width)
{
    private byte[]? _digest;

    /// <summary>
    /// SHA-256 of shape and values: two pictures have the same one only if the tower sees the same. What prepared them is in the values; a shape that was not in it
    /// gave a peer's users answers about other pictures (CVE-2025-46722).
    /// </summary>
    public ReadOnlySpan<byte> Digest => _digest ??= Hash();

    private byte[] Hash()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        ReadOnlySpan<int> shape = [Height, Width];
        hash.AppendData(MemoryMarshal.AsBytes(shape));
        hash.AppendData(MemoryMarshal.AsBytes(Values.AsSpan()));
        return hash.GetHashAndReset();
    }
}

/// <summary>
/// Resize, crop, rescale and normalise, with the settings of <c>preprocessor_config.json</c>; numbers equal those of the slow
/// (Pillow and NumPy) processors of transformers.
/// </summary>
public sealed class ImagePreprocessor
{
    private const int LargestSide = 16_384; // far above any vision tower; bounds the memory a broken configuration can ask for

    private readonly ResampleFilter? _filter;
    private readonly int? _shortestEdge;
    private readonly (int Height, int Width) _resizeTarget;
    private readonly (int Height, int Width)? _cropSize;
    private readonly float[][] _valueOfByte;

    private ImagePreprocessor(ResampleFilter? filter, int? shortestEdge, (int, int) resizeTarget, (int, int)? cropSize, float[][] valueOfByte)
    {
        (_filter, _shortestEdge, _resizeTarget, _cropSize, _valueOfByte) = (filter, shortestEdge, resizeTarget, cropSize, valueOfByte);
        (Height, Width) = cropSize ?? resizeTarget;
    }

    /// <summary>Rows of what comes out.</summary>
    public int Height { get; }

    /// <summary>Pixels per row of what comes out.</summary>
    public int Width { get; }

    /// <summary>Image tokens per picture that the processor counts on; null when its files do not say.</summary>
    public int? TokensPerImage { get; private init; }

    /// <summary>Pan-and-scan as the processor's files set it; null when it is off, as it is unless a file turns it on.</summary>
    public PanAndScan? PanAndScan { get; private init; }

    /// <summary>Reads a folder's <c>preprocessor_config.json</c> and <c>processor_config.json</c>.</summary>
    /// <exception cref="InputException">No such file, or a setting of it that is unknown or out of range.</exception>
    public static ImagePreprocessor Load(string folder)
    {
        string path = Path.Combine(folder, "preprocessor_config.json");
        JsonInput processor = JsonInput.FromFileIfPresent(Path.Combine(folder, "processor_config.json"));
        JsonInput inner = processor.Optional("image_processor"); // newer releases nest the image settings here
        if (!File.Exists(path) && inner.IsNull)
            throw new InputException($"{path}: missing; the model takes images, and this file says how to prepare them");
        JsonInput config = File.Exists(path) ? JsonInput.FromFile(path) : inner;

        (int? shortestEdge, (int, int) size) = ReadSize(config.Required("size"));
        bool crops = config.Optional("do_center_crop").FlagOr(false);
        (int, int)? cropSize = crops ? ReadSize(config.Required("crop_size")).Size : null;
        bool resizes = config.Optional("do_resize").FlagOr(true);
        if (cropSize is null && (shortestEdge is not null || !resizes))
            throw config.Optional("do_center_crop").Wrong("true when pictures are not resized to one fixed size");
        JsonInput seqLength = processor.Optional("image_seq_length").IsNull ? config.Optional("image_seq_length") : processor.Optional("image_seq_length");
        return new ImagePreprocessor(resizes ? ReadFilter(config.Optional("resample")) : null, shortestEdge, size, cropSize, ReadValues(config))
        {
            TokensPerImage = seqLength.IsNull ? null : seqLength.Integer(),
            PanAndScan = config.Optional("do_pan_and_scan").FlagOr(false) ? ReadPanAndScan(config) : null,
        };
    }

    /// <summary>Prepares a picture.</summary>
    public ImagePixels Process(RgbImage image)
    {
        if (_filter is { } filter)
        {
            (int height, int width) = _shortestEdge is { } edge ? ScaledToEdge(image, edge) : _resizeTarget;
            image = PillowResize.Resize(image, width, height, filter);
        }
        if (_cropSize is { } crop) image = CropCentre(image, crop.Height, crop.Width);
        return Normalise(image);
    }

    private ImagePixels Normalise(RgbImage image)
    {
        int plane = image.Width * image.Height;
        var values = new float[3 * plane];
        for (int channel = 0; channel < 3; channel++)
        {
            float[] table = _valueOfByte[channel];
            Span<float> to = values.AsSpan(channel * plane, plane);
            for (int i = 0; i < to.Length; i++) to[i] = table[image.Pixels[3 * i + channel]];
        }
        return new ImagePixels(values, image.Height, image.Width);
    }

    // The longer side is cut to a whole number of pixels, as Python's int() does.
    private static (int Height, int Width) ScaledToEdge(RgbImage image, int edge)
    {
        int shorter = Math.Min(image.Width, image.Height), longer = Math.Max(image.Width, image.Height);
        int scaled = (int)((double)((long)edge * longer) / shorter);
        return image.Width <= image.Height ? (scaled, edge) : (edge, scaled);
    }

    // Sides shorter than the crop are padded with black.
    private static RgbImage CropCentre(RgbImage image, int height, int width)
    {
        int top = (int)Math.Floor((image.Height - height) / 2.0), left = (int)Math.Floor((image.Width - width) / 2.0);
        if (top >= 0 && left >= 0) return image.Crop(left, top, width, height);
        var pixels = new byte[height * width * 3];
        for (int row = Math.Max(0, -top); row < Math.Min(height, image.Height - top); row++)
        {
            int from = Math.Max(0, -left), to = Math.Min(width, image.Width - left);
            image.Pixels.AsSpan(((top + row) * image.Width + left + from) * 3, (to - from) * 3).CopyTo(pixels.AsSpan((row * width + from) * 3));
        }
        return new RgbImage(width, height, pixels);
    }

    // Rescaling multiplies in float64 and rounds once; normalising is float32 (observed: NumPy arrays in the slow processors).
    private static float[][] ReadValues(JsonInput config)
    {
        bool rescales = config.Optional("do_rescale").FlagOr(true), normalises = config.Optional("do_normalize").FlagOr(true);
        double factor = config.Optional("rescale_factor").NumberOr(1 / 255.0);
        var tables = new float[3][];
        for (int channel = 0; channel < 3; channel++)
        {
            float mean = normalises ? ReadChannel(config.Required("image_mean"), channel) : 0;
            float deviation = normalises ? ReadChannel(config.Required("image_std"), channel) : 1;
            if (deviation <= 0) throw config.Required("image_std").Wrong("three positive numbers");
            tables[channel] = new float[256];
            for (int value = 0; value < 256; value++)
                tables[channel][value] = ((rescales ? (float)(value * factor) : value) - mean) / deviation;
        }
        return tables;
    }

    private static float ReadChannel(JsonInput list, int channel) =>
        list.Length == 3 ? (float)list.Item(channel).Number() : throw list.Wrong("three numbers, one per channel");

    private static (int? ShortestEdge, (int Height, int Width) Size) ReadSize(JsonInput size)
    {
        if (size.Kind == JsonValueKind.Number) return (null, (Side(size), Side(size)));
        JsonInput edge = size.Optional("shortest_edge");
        if (!edge.IsNull) return (Side(edge), (Side(edge), Side(edge)));
        return (null, (Side(size.Required("height")), Side(size.Required("width"))));
    }

    private static int Side(JsonInput value) =>
        value.Integer() is >= 1 and <= LargestSide and int side ? side : throw value.Wrong($"a number of pixels from 1 to {LargestSide}");

    private static ResampleFilter ReadFilter(JsonInput value)
    {
        var filter = (ResampleFilter)value.IntegerOr((int)ResampleFilter.Bilinear);
        return Enum.IsDefined(filter) ? filter : throw value.Wrong("1 (Lanczos), 2 (bilinear) or 3 (bicubic)");
    }

    private static PanAndScan ReadPanAndScan(JsonInput config) => new(
        AtLeastOne(config.Optional("pan_and_scan_min_crop_size"), 256),
        AtLeastOne(config.Optional("pan_and_scan_max_num_crops"), 4),
        config.Optional("pan_and_scan_min_ratio_to_activate").NumberOr(1.2));

    private static int AtLeastOne(JsonInput value, int fallback) =>
        value.IntegerOr(fallback) is >= 1 and int number ? number : throw value.Wrong("at least 1");
}
