using System.Diagnostics;

namespace GemmaCore.Cli.Tests;

/// <summary>What a finished <c>gemmacore</c> left: exit code and everything it printed.</summary>
internal sealed record Finished(int ExitCode, string Output, string Error)
{
    /// <summary>Fails with what was printed when the exit code is another one.</summary>
    public Finished Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode}, expected {exitCode}\nstdout: {Output}\nstderr: {Error}");
        return this;
    }

    /// <summary>Fails as well unless stderr is a single line with these words.</summary>
    public void ExpectLine(int exitCode, params string[] words)
    {
        string line = Expect(exitCode).Error.TrimEnd();
        Assert.DoesNotContain('\n', line);
        foreach (string word in words) Assert.Contains(word, line, StringComparison.Ordinal);
    }

    /// <summary>Fails as well unless stderr ends with the only complaint, of at most 600 characters and with these words, and stdout is empty. Progress may come before it.</summary>
    public void ExpectComplaint(int exitCode, params string[] words) => ExpectComplaint(exitCode, 600, words);

    /// <inheritdoc cref="ExpectComplaint(int, string[])"/>
    public void ExpectComplaint(int exitCode, int limit, params string[] words)
    {
        Expect(exitCode);
        string[] lines = Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(lines.Length > 0, "nothing on stderr");
        Assert.Single(lines, line => line.StartsWith("gemmacore: ", StringComparison.Ordinal));
        Assert.StartsWith("gemmacore: ", lines[^1], StringComparison.Ordinal);
        Assert.True(lines[^1].Length < limit, $"{lines[^1].Length} characters: {lines[^1]}");
        foreach (string word in words) Assert.Contains(word, lines[^1], StringComparison.OrdinalIgnoreCase);
        foreach (string sign in (string[])["Unhandled", "   at ", "GEMMACORE_TRACE", "Exception"]) Assert.DoesNotContain(sign, Error, StringComparison.Ordinal);
        Assert.Equal("", Output);
    }
}

/// <summary>The real executable in a process of its own: started, fed, listened to, interrupted, killed.</summary>
internal sealed class GemmacoreProcess : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly List<string> _errorLines = [];
    private readonly TaskCompletionSource _errorEnd = new();

    private GemmacoreProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.ErrorDataReceived += (_, line) => Hear(line.Data);
        _process.Start();
        _process.BeginErrorReadLine();
        _output = _process.StandardOutput.ReadToEndAsync();
    }

    /// <summary>The program, built beside the tests.</summary>
    public static string Program { get; } = Path.Combine(AppContext.BaseDirectory, "gemmacore.dll");

    /// <summary>The <c>dotnet</c> that runs the tests.</summary>
    public static string Host { get; } = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } path ? path : "dotnet";

    /// <summary>Runs the program to its end.</summary>
    public static Finished Run(params string[] arguments) => RunIn(Environment.CurrentDirectory, arguments);

    /// <summary>Runs the program to its end in a folder.</summary>
    public static Finished RunIn(string folder, params string[] arguments)
    {
        using GemmacoreProcess process = Start(folder, arguments);
        return process.WaitForEnd();
    }

    /// <summary>Starts the program with environment variables (<c>NAME=VALUE</c>).</summary>
    public static GemmacoreProcess StartWith(IEnumerable<string> variables, params string[] arguments) =>
        Launch(Environment.CurrentDirectory, "env", [.. variables, Host, "exec", Program, .. arguments]);

    /// <summary>Starts the program on one thread.</summary>
    public static GemmacoreProcess Start(string folder, params string[] arguments) => Launch(folder, Host, ["exec", Program, .. arguments]);

    /// <summary>Starts it with the default answer to Ctrl-C even where the tests themselves run in the background and ignore it.</summary>
    public static GemmacoreProcess StartInterruptible(string folder, params string[] arguments) =>
        Launch(folder, "env", ["--default-signal=INT", Host, "exec", Program, .. arguments]);

    /// <summary>Starts any command with the program's surroundings.</summary>
    public static GemmacoreProcess Launch(string folder, string command, IEnumerable<string> arguments, int threads = 1)
    {
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["GEMMACORE_THREADS"] = threads.ToString(System.Globalization.CultureInfo.InvariantCulture);
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // its sockets in /tmp would outlive a killed process
        return new GemmacoreProcess(start);
    }

    /// <summary>Waits for the end of the program, which takes no more input.</summary>
    public Finished WaitForEnd()
    {
        _process.StandardInput.Close();
        WaitForExit();
        Assert.True(_errorEnd.Task.Wait(Limit), "stderr stayed open");
        lock (_errorLines) return new Finished(_process.ExitCode, _output.GetAwaiter().GetResult(), string.Join('\n', _errorLines));
    }

    /// <summary>Waits until so many lines on stderr begin with the text, or the program has ended.</summary>
    /// <returns>False when it ended before.</returns>
    public bool WaitForLines(string beginning, int count)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            lock (_errorLines)
                if (_errorLines.Count(line => line.StartsWith(beginning, StringComparison.Ordinal)) >= count) return true;
            if (_errorEnd.Task.IsCompleted) return false;
            if (Stopwatch.GetElapsedTime(start) > Limit) throw new TimeoutException($"'{beginning}' did not come {count} times");
            Thread.Sleep(1);
        }
    }

    /// <summary>What it has printed to stderr up to now.</summary>
    public string ErrorSoFar
    {
        get
        {
            lock (_errorLines) return string.Join('\n', _errorLines);
        }
    }

    /// <summary>Kills the program on the spot (SIGKILL).</summary>
    /// <returns>False when it had ended by itself.</returns>
    public bool Kill()
    {
        const int killed = 128 + 9;
        _process.Kill();
        WaitForExit();
        return _process.ExitCode == killed;
    }

    /// <summary>What Ctrl-C in a terminal sends (SIGINT).</summary>
    public void Interrupt()
    {
        using Process kill = Process.Start("kill", ["-INT", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    private void WaitForExit()
    {
        if (_process.WaitForExit(Limit)) return;
        _process.Kill();
        throw new TimeoutException($"gemmacore did not end within {Limit}");
    }

    private void Hear(string? line)
    {
        if (line is null) _errorEnd.TrySetResult();
        else lock (_errorLines) _errorLines.Add(line);
    }
}
