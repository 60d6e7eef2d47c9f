using System.Globalization;
using GemmaCore.Proof;

// tools/parity.sh, tools/parity_4b.sh, tools/fuzz.sh and tools/eval_load.sh call this; each prints Markdown and ends with 0 when everything held.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["parity", var log]: return ParityTable.Print(log);
    case ["medgemma-4b", var folder]: return WholeMedGemma.Compare(folder);
    case ["fuzz", var inputs, var seed]: return FuzzTable.Print(long.Parse(inputs), int.Parse(seed));
    case ["eval-load", var rows, var resamples]: return EvaluationLoad.Print(int.Parse(rows), int.Parse(resamples));
    default:
        Console.Error.WriteLine("usage: proof parity LOG | medgemma-4b FOLDER | fuzz INPUTS SEED | eval-load ROWS RESAMPLES (see tools/*.sh)");
        return 2;
}
