using System.CommandLine;
using GemmaCore.Inputs;
using GemmaCore.Inputs.Volumes;

namespace GemmaCore.Cli;

/// <summary>How pictures that hold more than a screen shows are looked at: <c>--window</c>, and for a single question <c>--frame</c>, <c>--volume</c>, <c>--slices</c>.</summary>
internal sealed class PictureOptions(bool single)
{
    private readonly Option<string?> _window = new("--window")
    {
        Description = $"grey values of DICOM that become black and white: {GreyWindow.Known}; by modality where not given",
    };

    private readonly Option<int> _frame = new("--frame") { Description = "which frame of DICOM files with several, from 1", DefaultValueFactory = _ => 1 };

    private readonly Option<string[]> _volume = new("--volume")
    {
        Description = "slices shown before the question: a NIfTI file, a folder of DICOM files, or a DICOM file of several frames; may be repeated",
    };

    private readonly Option<int> _slices = new("--slices") { Description = "most slices of a volume, evenly spread", DefaultValueFactory = _ => VolumePrompt.UsualSlices };

    private readonly Option<string?> _instruction = new("--instruction") { Description = "text before the slices of a volume, tiles or crops" };

    public void AddTo(Command command)
    {
        command.Add(_window);
        if (!single) return;
        foreach (Option option in (Option[])[_frame, _volume, _slices, _instruction]) command.Add(option);
    }

    /// <summary>The window that was asked for; null for none.</summary>
    /// <exception cref="UsageException">There is no such window.</exception>
    public GreyWindow? Window(ParseResult parsed)
    {
        try
        {
            return parsed.GetValue(_window) is { } name ? GreyWindow.Parse(name) : null;
        }
        catch (InputException error)
        {
            throw new UsageException($"--window: {error.Message}");
        }
    }

    /// <summary>The volumes that were asked for: an instruction, then slices with their numbers.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="hasParts">Whether pictures are cut, which an instruction may stand before as well.</param>
    /// <exception cref="UsageException">Flags that do not go together.</exception>
    public IEnumerable<ContentPart> Volumes(ParseResult parsed, bool hasParts)
    {
        string[] volumes = parsed.GetValue(_volume) ?? [];
        if (parsed.GetValue(_slices) < 1) throw new UsageException("--slices: expected 1 or more");
        if (volumes.Length == 0 && ((parsed.GetValue(_instruction) is not null && !hasParts) || parsed.GetResult(_slices) is { Implicit: false }))
            throw new UsageException("--slices and --instruction go with --volume, and --instruction with --tiles and --crops");
        IEnumerable<ContentPart> parts = volumes.SelectMany(volume => VolumePrompt.Parts(volume, null, parsed.GetValue(_slices)));
        return parsed.GetValue(_instruction) is { } instruction ? parts.Prepend(new TextPart(instruction)) : parts;
    }

    /// <summary>Pictures by their files, with the frame that was asked for.</summary>
    public IReadOnlyList<ImageSource> Sources(ParseResult parsed, IEnumerable<string> files) => [.. files.Select(file => ImageSource.FromFile(ShippedFile.Locate(file)) with { Frame = parsed.GetValue(_frame) })];
}
