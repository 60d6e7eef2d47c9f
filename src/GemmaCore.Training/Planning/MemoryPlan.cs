using GemmaCore.Models;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>One part of a plan.</summary>
/// <param name="Name">What it is, e.g. <c>adapter</c>.</param>
/// <param name="Bytes">Bytes of the device.</param>
public sealed record PlanPart(string Name, long Bytes);

/// <summary>What a training run takes of a device, part by part, known before anything is loaded.</summary>
public sealed record MemoryPlan
{
    /// <summary>The settings that the plan is for.</summary>
    public required TrainingConfiguration Configuration { get; init; }

    /// <summary>The largest sample.</summary>
    public required SampleShape Sample { get; init; }

    /// <summary>Everything that is there while training; their sum is <see cref="TrainingBytes"/>.</summary>
    public required IReadOnlyList<PlanPart> Parts { get; init; }

    /// <summary>Of the part "activations", the logits of a chunk and their inputs.</summary>
    public required long LossChunkBytes { get; init; }

    /// <summary>Weights that stay in the mapped file (on the CPU), which the system pages in and out.</summary>
    public required long MappedBytes { get; init; }

    /// <summary>Peak of loading and of encoding the pictures, before training starts.</summary>
    public required long PreparationBytes { get; init; }

    /// <summary>Memory of a step, for <see cref="LoraTrainer.Reserve"/>.</summary>
    public required StepMemory Step { get; init; }

    /// <summary>What a step cannot do without, for a bound on its time.</summary>
    public required PassWork StepWork { get; init; }

    /// <summary>The same of a picture that is encoded before training starts; nothing where steps encode their own.</summary>
    public required PassWork PictureWork { get; init; }

    /// <summary>Memory while training.</summary>
    public long TrainingBytes => Parts.Sum(part => part.Bytes);

    /// <summary>The most memory at any time: what the device's own account must show.</summary>
    public long PeakBytes => Math.Max(TrainingBytes, PreparationBytes);

    /// <summary>Settings that were changed to make it fit, one line each: from what to what, and at what cost.</summary>
    public IReadOnlyList<string> GivenUp { get; init; } = [];

    /// <summary>Those of <see cref="GivenUp"/> that a run had from its beginning, whether a plan chose them or somebody asked for them.</summary>
    public IReadOnlyList<string> Kept { get; init; } = [];
}
