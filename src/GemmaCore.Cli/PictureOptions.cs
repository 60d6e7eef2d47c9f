using System.CommandLine;
using GemmaCore.Inputs;

namespace GemmaCore.Cli;

/// <summary>How pictures that hold more than a screen shows are looked at: <c>--window</c>, <c>--frame</c>.</summary>
internal sealed class PictureOptions(bool frame)
{
    private readonly Option<string?> _window = new("--window")
    {
        Description = $"grey values of DICOM that become black and white: {GreyWindow.Known}; by modality where not given",
    };

    private readonly Option<int> _frame = new("--frame") { Description = "which frame of DICOM files with several, from 1", DefaultValueFactory = _ => 1 };

    public void AddTo(Command command)
    {
        command.Add(_window);
        if (frame) command.Add(_frame);
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

    /// <summary>Pictures by their files, with the frame that was asked for.</summary>
    public IReadOnlyList<ImageSource> Sources(ParseResult parsed, IEnumerable<string> files) => [.. files.Select(file => ImageSource.FromFile(file) with { Frame = parsed.GetValue(_frame) })];
}
