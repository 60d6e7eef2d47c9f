using System.Globalization;

namespace GemmaCore.Cli.Tests;

/// <summary>A training run of about two seconds that saves after every step: the embedded model, eight pictures, a small adapter with dropout.</summary>
internal static class ShortRun
{
    public const int Steps = 12;

    private const string Text = """
        model_name_or_path: demo
        dataset: { type: flare, path: demo, tasks: [phantom_cells], prompts: question, max_samples: 8 }
        output_dir: out
        lora_rank: 2
        target_modules: [q_proj, v_proj]
        lora_dropout: 0.1
        learning_rate: 1.0e-3
        per_device_train_batch_size: 2
        max_steps: STEPS
        logging_steps: 1
        save_steps: 1
        save_total_limit: 2
        """;

    /// <summary>Writes <c>run.yaml</c> into a folder; the run's files go to <c>out</c> beside it.</summary>
    public static void WriteConfiguration(string folder) =>
        File.WriteAllText(Path.Combine(folder, "run.yaml"), Text.Replace("STEPS", Steps.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
}
