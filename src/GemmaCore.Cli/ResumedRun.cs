using GemmaCore.Checkpoints;
using GemmaCore.Training.Planning;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Cli;

/// <summary>The run that <c>--resume</c> goes on with.</summary>
/// <param name="Checkpoint">Where; null for the newest of the output folder.</param>
/// <param name="Earlier">What the run's passport says; null where it left none.</param>
/// <param name="Settings">What its plan had come to; null where the checkpoint does not say.</param>
internal sealed record ResumedRun(string? Checkpoint, EarlierRun? Earlier, PlannedSettings? Settings)
{
    /// <summary>Reads what there is of it.</summary>
    /// <param name="outputDir">The run's folder, where no checkpoint is named.</param>
    /// <param name="checkpoint">One of its checkpoints, or another run's; null for the newest.</param>
    /// <exception cref="UsageException">There is none.</exception>
    public static ResumedRun Find(string outputDir, string? checkpoint) =>
        checkpoint is not null ? new(checkpoint, EarlierRun.In(RunOf(checkpoint)), RunFolder.StateOf(checkpoint).Settings)
        : RunFolder.CheckpointsIn(outputDir) is [.., var newest] ? new(null, EarlierRun.In(outputDir), SettingsOf(newest.Folder))
        : throw NoCheckpoint(outputDir);

    public static UsageException NoCheckpoint(string outputDir) => new($"{outputDir}: there is no checkpoint to resume from");

    /// <summary>Whether it goes on in that folder.</summary>
    public bool IsIn(string outputDir) => Checkpoint is null || Path.GetFullPath(RunOf(Checkpoint)) == Path.GetFullPath(outputDir);

    private static PlannedSettings? SettingsOf(string newest)
    {
        try
        {
            return RunFolder.StateOf(newest).Settings;
        }
        catch (Exception error) when (error is IOException or CheckpointException && !Directory.Exists(newest))
        {
            return null; // another run has just removed it, and will be named when the folder is locked
        }
    }

    private static string RunOf(string checkpoint) => Path.GetDirectoryName(Path.GetFullPath(checkpoint).TrimEnd(Path.DirectorySeparatorChar)) ?? checkpoint;
}
