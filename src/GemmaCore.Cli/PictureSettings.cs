using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli;

/// <summary>How pictures are prepared, as a YAML file says it and flags change it.</summary>
/// <param name="Window"><c>image_window</c>, <c>--window</c>.</param>
/// <param name="Pads"><c>resize_mode: pad</c>, <c>--resize-mode pad</c>.</param>
/// <param name="Orients"><c>exif_orientation</c>, <c>--exif-orientation</c>.</param>
internal sealed record PictureSettings(GreyWindow? Window = null, bool Pads = false, bool Orients = false)
{
    public static PictureSettings Of(TrainingConfiguration configuration) =>
        new(configuration.ImageWindow is { } window ? GreyWindow.Parse(window) : null, configuration.Dataset.PadsPictures, configuration.ExifOrientation);

    /// <summary>Refuses to cut pictures that are turned.</summary>
    /// <param name="cut">What a flag asks for.</param>
    /// <param name="data">What a YAML file says of its data.</param>
    /// <exception cref="UsageException">Both were asked for.</exception>
    public void Check(PictureCut? cut, DatasetConfiguration? data = null)
    {
        if (Orients && ((cut ?? data?.Cut) is not null || data?.BoxFormat == "box_2d"))
            throw new UsageException("--exif-orientation: boxes in box_2d, tiles and crops are of pictures as they are stored; leave one of the two out");
    }

    /// <summary>An encoder that prepares them so.</summary>
    public PromptEncoder Apply(PromptEncoder prompts) => prompts with { Window = Window, PadToSquare = Pads, ApplyOrientation = Orients };
}
