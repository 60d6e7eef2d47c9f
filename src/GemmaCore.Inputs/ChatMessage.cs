namespace GemmaCore.Inputs;

/// <summary>Who speaks in a turn of a conversation.</summary>
public enum ChatRole
{
    /// <summary>Instructions; folded into the first user turn by Gemma 3's template.</summary>
    System,

    /// <summary>The person.</summary>
    User,

    /// <summary>The model (written <c>model</c> by Gemma's template).</summary>
    Assistant,
}

/// <summary>One piece of a message's content.</summary>
public abstract record ContentPart;

/// <summary>Text, as the user gave it (the template trims it).</summary>
/// <param name="Text">The text.</param>
public sealed record TextPart(string Text) : ContentPart;

/// <summary>An image at this place in the message.</summary>
/// <param name="Image">Where the picture comes from.</param>
public sealed record ImagePart(ImageSource Image) : ContentPart;

/// <summary>An encoded picture: the bytes of a PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM file, or the path of one.</summary>
/// <param name="Path">File to read when the pixels are needed; null when <paramref name="Bytes"/> holds the file.</param>
/// <param name="Bytes">The encoded file; null when it is to be read from <paramref name="Path"/>.</param>
public sealed record ImageSource(string? Path, ReadOnlyMemory<byte>? Bytes)
{
    /// <summary>Which frame of a DICOM file or page of a TIFF file, from 1.</summary>
    public int Frame { get; init; } = 1;

    /// <summary>Which slice of the volume at <see cref="Path"/>, from 1; 0 where the file is a picture.</summary>
    public int Slice { get; init; }

    /// <summary>The part of the picture that is meant; null for all of it.</summary>
    public PictureRegion? Region { get; init; }

    /// <summary>The magnification at which a slide is shown, e.g. 10; null for all pixels that were scanned. Places stay those of the scan.</summary>
    public double? Magnification { get; init; }

    /// <summary>How grey values of more than 8 bits become bytes; null for what the picture's kind asks for.</summary>
    public GreyWindow? Window { get; init; }

    /// <summary>What tells this picture from others of the same file: empty unless a frame, a slice, a window or a part was chosen.</summary>
    public string Choice => (Frame == 1 ? "" : FormattableString.Invariant($" frame {Frame}")) + (Slice == 0 ? "" : FormattableString.Invariant($" slice {Slice}")) + (Window is null ? "" : $" window {Window.Name}") + (Magnification is { } times ? FormattableString.Invariant($" at {times}x") : "")
        + (Region is { } part ? FormattableString.Invariant($" part {part.Left},{part.Top},{part.Width},{part.Height}") : "");

    /// <summary>A picture in a file, read on use.</summary>
    public static ImageSource FromFile(string path) => new(path, null);

    /// <summary>A picture already in memory, still encoded.</summary>
    public static ImageSource FromBytes(ReadOnlyMemory<byte> bytes) => new(null, bytes);
}

/// <summary>One turn of a conversation.</summary>
/// <param name="Role">Who speaks.</param>
/// <param name="Content">Text and images in reading order.</param>
public sealed record ChatMessage(ChatRole Role, IReadOnlyList<ContentPart> Content)
{
    /// <summary>A turn of plain text.</summary>
    public static ChatMessage FromText(ChatRole role, string text) => new(role, [new TextPart(text)]);
}
