namespace GemmaCore.Evaluation;

/// <summary>One of the three ways in which FLARE answers are scored (flare.md §6, §7).</summary>
/// <param name="Name">How the command line names it.</param>
/// <param name="SkipsMissing">Rows without a prediction are left out (the challenge) instead of being an error or empty answers.</param>
/// <param name="MeanOverDatasets">The overall figure is the mean over data sets (the challenge), not over splits.</param>
/// <param name="Scorings">Task scorings by name.</param>
public sealed record ScoringRules(string Name, bool SkipsMissing, bool MeanOverDatasets, IReadOnlyDictionary<string, TaskScoring> Scorings)
{
    private const string Instance = "instance_detection";

    /// <summary>The 2026 baseline's.</summary>
    public static ScoringRules Flare26 { get; } = Of("flare26", false, false, Flare26Rules.Scorings());

    /// <summary>The challenge's own scorer.</summary>
    public static ScoringRules Official { get; } = Of("official", true, true, OfficialRules.Scorings());

    /// <summary>The 2025 baseline's.</summary>
    public static ScoringRules Flare25 { get; } = Of("flare25", false, false, Flare25Rules.Scorings());

    /// <summary>All of them.</summary>
    public static IReadOnlyList<ScoringRules> All { get; } = [Flare26, Official, Flare25];

    /// <summary>How a row is scored; null where the rules score no such task by themselves (reports need a judge).</summary>
    public TaskScoring? For(TaskType task, bool isInstanceDetection)
    {
        string name = task.Name();
        return (isInstanceDetection && task == TaskType.Detection ? Scorings.GetValueOrDefault(Instance) : null) ?? Scorings.GetValueOrDefault(name);
    }

    /// <summary>The same rules with one more task, or another scoring of one.</summary>
    public ScoringRules With(TaskScoring scoring)
    {
        ArgumentNullException.ThrowIfNull(scoring);
        return this with { Scorings = new Dictionary<string, TaskScoring>(Scorings) { [scoring.Task] = scoring } };
    }

    private static ScoringRules Of(string name, bool skipsMissing, bool meanOverDatasets, TaskScoring[] scorings) =>
        new(name, skipsMissing, meanOverDatasets, scorings.ToDictionary(scoring => scoring.Task));
}
