namespace GemmaCore.Inputs.Codecs;

/// <summary>What a decoder throws: one line, with the file's name first.</summary>
/// <param name="name">Of the file or frame.</param>
/// <param name="codec">What it should be.</param>
internal sealed class CodecComplaint(string name, string codec)
{
    public InputException CutOff() => new($"{name}: the {codec} picture is damaged or cut off");

    public InputException Damaged(string what) => new($"{name}: the {codec} picture is damaged: {what}");

    public InputException Unread(string what) => new($"{name}: the {codec} picture cannot be read here: {what}; unpack it first, e.g. gdcmconv --raw IN OUT");

    /// <summary>Refuses a picture before memory is taken for it.</summary>
    /// <exception cref="InputException">It has no pixels, or more than are allowed.</exception>
    public void RequireSize(long width, long height, int components, long maxPixels)
    {
        if (width < 1 || height < 1) throw Damaged($"it has {width} x {height} pixels");
        if (width > int.MaxValue || height > int.MaxValue || width * height > maxPixels || width * height > Array.MaxLength / components)
            throw new InputException($"{name}: {width} x {height} pixels are more than the {maxPixels} allowed");
    }
}
