using System.Globalization;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.RunFiles;

/// <summary>
/// The output folder of a run: checkpoints that are whole or not there, the log, the final adapter. A checkpoint is written under a temporary name
/// and renamed when it is complete, so a run killed at any moment finds the last complete one.
/// </summary>
public sealed class RunFolder : IDisposable
{
    private const string Prefix = "checkpoint-", Partial = ".partial", OptimizerName = "optimizer.safetensors", LogName = "train.jsonl", LockName = ".lock";

    private readonly FileStream _lock;
    private readonly IReadOnlyList<string> _made;

    /// <summary>Opens or creates the folder for one run at a time, and removes what an interrupted save left behind.</summary>
    /// <exception cref="IOException">Another run is writing there.</exception>
    public RunFolder(string path)
    {
        Path = path;
        _made = Missing(path);
        Directory.CreateDirectory(path);
        _lock = Lock(path);
        foreach (string leftover in Directory.EnumerateDirectories(path, Prefix + "*" + Partial)) Directory.Delete(leftover, recursive: true);
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Complete checkpoints in order of their steps.</summary>
    public IReadOnlyList<(int Step, string Folder)> Checkpoints => CheckpointsIn(Path);

    /// <summary>Complete checkpoints of a folder that another run may be writing to, in order of their steps; none where there is no folder.</summary>
    public static IReadOnlyList<(int Step, string Folder)> CheckpointsIn(string path) => !Directory.Exists(path) ? [] :
    [
        .. Directory.EnumerateDirectories(path, Prefix + "*")
            .Select(folder => (Step: StepOf(folder), Folder: folder))
            .Where(item => item.Step >= 0 && File.Exists(System.IO.Path.Combine(item.Folder, TrainerStateFile.Name)))
            .OrderBy(item => item.Step),
    ];

    /// <summary>Where a checkpoint's run stood.</summary>
    /// <exception cref="CheckpointException">The folder is no checkpoint of a run.</exception>
    public static RunState StateOf(string checkpoint)
    {
        string file = System.IO.Path.Combine(checkpoint, TrainerStateFile.Name);
        if (!File.Exists(file)) throw new CheckpointException($"{checkpoint}: {(Directory.Exists(checkpoint) ? $"no checkpoint of a run, as it has no {TrainerStateFile.Name}" : "no such folder")}");
        return TrainerStateFile.Read(file);
    }

    /// <summary>Removes every checkpoint: those of an earlier run must not pass for the new one's.</summary>
    public void RemoveCheckpoints()
    {
        foreach ((_, string folder) in Checkpoints) Remove(folder);
    }

    /// <summary>Lets other runs in. Of a run that was refused before it wrote anything no folder stays behind.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        foreach (string folder in _made.TakeWhile(folder => Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any())) Directory.Delete(folder);
    }

    /// <summary>Saves a checkpoint and removes the oldest ones above the limit; the best one is kept.</summary>
    public void Save(RunState state, LoraAdapter adapter, AdamW optimizer, NameGeneration layout, string stateText, int limit)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(adapter);
        ArgumentNullException.ThrowIfNull(optimizer);
        string final = System.IO.Path.Combine(Path, Prefix + state.Step.ToString(CultureInfo.InvariantCulture)), partial = final + Partial;
        if (Directory.Exists(final))
        {
            // A resumed run has come back to a step that was saved before: by itself, then the bytes are the same, or by a run with other settings.
            string earlier = System.IO.Path.Combine(final, TrainerStateFile.Name);
            if (File.Exists(earlier) && File.ReadAllText(earlier) == stateText) return;
            Remove(final);
        }

        try
        {
            adapter.Save(partial, layout);
            SafetensorsWriter.Write(System.IO.Path.Combine(partial, OptimizerName), [.. optimizer.State.Select(item => WritableTensor.Of(item.Name, item.View))]);
            AtomicFile.WriteAllText(System.IO.Path.Combine(partial, TrainerStateFile.Name), stateText);
            Directory.Move(partial, final);
        }
        catch
        {
            // On a full disk its files are in the way; where a card failed they are of no use.
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
            throw;
        }

        if (limit <= 0) return;
        IReadOnlyList<(int Step, string Folder)> old = [.. Checkpoints.Where(item => item.Step != state.BestStep)];
        foreach ((_, string folder) in old.Take(Math.Max(0, old.Count - limit))) Remove(folder);
    }

    /// <summary>Restores adapter and optimiser from a checkpoint; writes nothing.</summary>
    /// <exception cref="CheckpointException">The folder is no checkpoint of a run, or one of another adapter.</exception>
    public static RunState Restore(string folder, LoraAdapter adapter, AdamW optimizer)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        ArgumentNullException.ThrowIfNull(optimizer);
        RunState state = StateOf(folder);
        using (AdapterFile file = AdapterFile.Load(folder, adapter.Parameters[0].Value.Device))
        {
            foreach (LoraParameter parameter in adapter.Parameters)
            {
                bool isA = parameter.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal);
                string module = parameter.Name[..^".lora_A.weight".Length];
                if (!file.Pairs.TryGetValue(module, out AdapterPair? pair))
                    throw new CheckpointException($"{folder}: {module} is missing; was the checkpoint made with other target_modules?");
                Restore(isA ? pair.A : pair.B, parameter.Value, $"{folder}: {parameter.Name}");
            }
        }

        using (SafetensorsFile file = SafetensorsFile.Open(System.IO.Path.Combine(folder, OptimizerName), adapter.Parameters[0].Value.Device))
        {
            foreach ((string name, TensorView view) in optimizer.State) Restore(file.View(name), view, $"{folder}: {name}");
        }

        optimizer.StepCount = state.Step;
        return state;
    }

    /// <summary>Writes the whole log.</summary>
    public void WriteLog(IReadOnlyList<LogEntry> log) =>
        AtomicFile.WriteAllText(System.IO.Path.Combine(Path, LogName), string.Concat(log.Select(entry => TrainerStateFile.ToJson(entry).ToJsonString() + "\n")));

    /// <summary>Adds a line to the log.</summary>
    public void AppendLog(LogEntry entry) =>
        File.AppendAllText(System.IO.Path.Combine(Path, LogName), TrainerStateFile.ToJson(entry).ToJsonString() + "\n");

    // The folder and those above it that are not there yet, innermost first.
    private static List<string> Missing(string path)
    {
        var missing = new List<string>();
        for (string? folder = System.IO.Path.GetFullPath(path); folder is not null && !Directory.Exists(folder); folder = System.IO.Path.GetDirectoryName(folder)) missing.Add(folder);
        return missing;
    }

    // The lock is the open file, not its being there: what a killed run leaves behind locks nobody out.
    private static FileStream Lock(string path)
    {
        try
        {
            return new FileStream(System.IO.Path.Combine(path, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException error)
        {
            throw new IOException($"{path}: another run is writing there; wait for its end or choose another output_dir ({error.Message})", error);
        }
    }

    // Under the temporary name first: a checkpoint that lost half its files to a killed process must not look whole.
    private static void Remove(string checkpoint)
    {
        Directory.Move(checkpoint, checkpoint + Partial);
        Directory.Delete(checkpoint + Partial, recursive: true);
    }

    private static int StepOf(string folder)
    {
        string name = System.IO.Path.GetFileName(folder)[Prefix.Length..];
        return int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int step) ? step : -1;
    }

    private static void Restore(TensorView stored, TensorView target, string where)
    {
        if (stored.Shape != target.Shape) throw new CheckpointException($"{where}: expected {target}, found {stored}; was the checkpoint made with another lora_rank?");
        if (stored.DType != target.DType)
        {
            // Nobody need have asked for the one or the other: a plan takes 8 bits where memory is short.
            string optim = stored.DType == DType.U8 ? TrainingConfiguration.AdamW8Bit : TrainingConfiguration.AdamW;
            throw new CheckpointException($"{where}: expected {target}, found {stored}; the checkpoint was made with optim {optim}: set it, or start anew");
        }

        var bytes = new TensorView(stored.Pointer, new Shape(checked((int)stored.ByteCount)), DType.U8, stored.Device);
        target.Device.CopyFromHost(bytes.AsSpan<byte>(), target);
    }
}
